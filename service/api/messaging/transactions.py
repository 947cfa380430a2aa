"""Transactions over HTTP."""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from service import model
from service.api.http.exact_json import decode
from service.api.http.exchange import Answer, Exchange, json_answer
from service.api.messaging.drafts import Message, draft_of, idempotency_key, keep_context
from service.api.messaging.receipts import Item, Result, order_of, result_json
from service.api.messaging.sends import Sent, sent_json
from service.auth.scopes import require_queue
from service.domain.transactions import Outgoing, transact
from service.errors import FieldError, Forbidden, InvalidRequest, invalid, pointed
from service.model import Caller
from service.store.store import Store


class MessageTo(Message, kw_only=True, forbid_unknown_fields=True):
    """A message and the queue to send it to."""

    queue: Annotated[str, Meta(description="The queue's name.")]


class Transaction(Struct, forbid_unknown_fields=True):
    """Receipts to settle and messages to send atomically; 1 to 1000 in total."""

    settle: Annotated[list[Item], Meta(description="Receipts to settle, as in a batch.")] = []
    send: Annotated[list[MessageTo], Meta(description="Messages to send, each with its queue.")] = []


class TransactionDone(Struct):
    """The results of the settles and the sent messages, in the order of the request."""

    results: list[Result]
    messages: list[Sent]


_decoder = msgspec.json.Decoder(Transaction)


async def commit_transaction(store: Store, exchange: Exchange) -> Answer:
    """Settle receipts and send messages, all or nothing.

    For ten minutes a transaction is identified by its receipts, or by its Idempotency-Key if it has no receipts. If
    the same request is repeated in that time, nothing is done and the response is the same as the first.
    """
    request = decode(_decoder, exchange.body)
    key = idempotency_key(exchange.headers)
    members = len(request.settle) + len(request.send)
    if not 1 <= members <= model.MAX_BATCH:
        detail = f"A transaction must have 1 to {model.MAX_BATCH} receipts and messages; this one has {members}."
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
    """Raise Forbidden for a queue that the key's patterns do not cover."""
    for position, one in enumerate(outgoing):
        try:
            require_queue(caller, one.queue)
        except Forbidden as problem:
            raise pointed(problem, f"/send/{position}/queue") from None
