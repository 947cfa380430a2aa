"""Transactions over HTTP: requests in, answers out."""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from service import model
from service.api.drafts import Message, draft_of, idempotency_key, keep_context
from service.api.exact_json import decode
from service.api.exchange import Answer, Exchange, json_answer
from service.api.messages import Sent, sent_json
from service.api.receipts import Item, Result, order_of, result_json
from service.auth.scopes import require_queue
from service.domain.transact import Outgoing, transact
from service.errors import FieldError, Forbidden, InvalidRequest, invalid, pointed
from service.model import Caller
from service.store.store import Store


class MessageTo(Message, kw_only=True, forbid_unknown_fields=True):
    """A message, and where to send it."""

    queue: Annotated[str, Meta(description="The queue's name.")]


class Transaction(Struct, forbid_unknown_fields=True):
    """What is to be done wholly or not at all: 1 to 1000 members together."""

    settle: Annotated[list[Item], Meta(description="Receipts to settle, as in a batch.")] = []
    send: Annotated[list[MessageTo], Meta(description="Messages to send, each with its queue.")] = []


class TransactionDone(Struct):
    """What was done, in the order given."""

    results: list[Result]
    messages: list[Sent]


_decoder = msgspec.json.Decoder(Transaction)


async def commit_transaction(store: Store, exchange: Exchange) -> Answer:
    """Settle receipts and send messages, all or nothing.

    It is remembered for ten minutes by its receipts, or by an Idempotency-Key if it has none: the same request again
    does nothing and gives the first answer.
    """
    request = decode(_decoder, exchange.body)
    key = idempotency_key(exchange.headers)
    members = len(request.settle) + len(request.send)
    if not 1 <= members <= model.MAX_BATCH:
        detail = f"A transaction has 1 to {model.MAX_BATCH} members, this one {members}."
        raise invalid("", "out_of_range", detail)
    errors: list[FieldError] = []
    orders = [order_of(item, f"/settle/{position}", errors) for position, item in enumerate(request.settle)]
    outgoing = [_outgoing(message, f"/send/{position}", errors) for position, message in enumerate(request.send)]
    if errors:
        raise InvalidRequest(errors)
    _check_patterns(exchange.caller, outgoing)
    keep_context([one.draft for one in outgoing], exchange.headers)
    done = await transact(store, exchange.caller, orders, outgoing, key)
    results = b",".join(map(result_json, request.settle, done.settled))
    messages = b",".join(sent_json(sent.id, sent.visible_at, duplicate=sent.duplicate) for sent in done.sent)
    return json_answer(200, b'{"results":[%b],"messages":[%b]}' % (results, messages))


def _outgoing(message: MessageTo, pointer: str, errors: list[FieldError]) -> Outgoing:
    if not model.is_name(message.queue):
        errors.append(FieldError(f"{pointer}/queue", "invalid_name", model.NAME_RULE))
    return Outgoing(message.queue, draft_of(message, pointer, errors))


def _check_patterns(caller: Caller, outgoing: list[Outgoing]) -> None:
    """Raise Forbidden for a queue outside the key's patterns."""
    for position, one in enumerate(outgoing):
        try:
            require_queue(caller, one.queue)
        except Forbidden as problem:
            raise pointed(problem, f"/send/{position}/queue") from None
