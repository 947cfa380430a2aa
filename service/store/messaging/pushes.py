"""Messages for webhooks: which webhooks have work, which messages they get, and the outcomes of their requests."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct

from service.message import Leased
from service.store.database import process_counts
from service.store.database.clock import EPOCH
from service.store.database.connections import Link
from service.store.database.statements import STATEMENTS
from service.store.messaging import fifo
from service.store.messaging.leased import leased
from service.store.messaging.takers import share_columns

_WEBHOOKS = STATEMENTS["pushes.webhooks"]
_IN_FLIGHT = STATEMENTS["pushes.in_flight"]
_IDLE = STATEMENTS["pushes.idle"]
_SPEND = STATEMENTS["pushes.spend"]
_REPORT = STATEMENTS["pushes.report"]
_CLAIM = STATEMENTS["receives.claim"]

# A lease outlives its request by this much, so that a message is never in two requests.
MARGIN = timedelta(seconds=5)
_MOST_REQUESTS = 1000
_MOST_BYTES = 16 * 1024 * 1024


class DueWebhook(Struct):
    """A webhook that has work, with its queue.

    `openings`: how often its circuit has opened since the last success. `tokens`: how many requests its rate allows
    now; None: it has no rate. `row` has the webhook's own columns, for `webhooks.loaded`.
    """

    id: int
    name: str
    queue_id: int
    queue_name: str
    project_id: int
    number: int
    version: int
    is_fifo: bool
    timeout: timedelta
    max_concurrency: int
    openings: int
    tokens: float | None
    row: Any

    @property
    def most_requests(self) -> int:
        """Return how many requests it may have in flight: a single one while its circuit is not closed."""
        return 1 if self.openings else self.max_concurrency

    @property
    def affordable(self) -> int:
        """Return how many requests its rate allows now."""
        return _MOST_REQUESTS if self.tokens is None else int(self.tokens)


_DUE_FIELDS = DueWebhook.__struct_fields__[:-1]


class WebhookMessages(Struct):
    """The messages that one webhook was given under one lease."""

    webhook: DueWebhook
    lease: int
    messages: list[Leased]


class Wish(Struct):
    """A webhook that has work; `room`: how many more requests it may have in flight, over all processes."""

    webhook_id: int
    project_id: int
    room: int


# A webhook's id, and when it had last been changed before the request: it may have another receiver by now.
Asked = tuple[int, datetime]


class Report(Struct):
    """The outcome of a webhook's requests.

    `succeeded`: whether one did; `failed`: how many failed after the last success. `pause`, `disabled`: what the
    receiver asked for.
    """

    succeeded: bool = False
    failed: int = 0
    error: str | None = None
    pause: timedelta | None = None
    disabled: bool = False

    def followed_by(self, later: "Report") -> "Report":
        """Return the two reports as one."""
        pauses = [pause for pause in (self.pause, later.pause) if pause is not None]
        return Report(
            succeeded=self.succeeded or later.succeeded,
            failed=later.failed if later.succeeded else self.failed + later.failed,
            error=later.error if later.succeeded else later.error or self.error,
            pause=max(pauses, default=None),
            disabled=self.disabled or later.disabled,
        )


async def is_idle(link: Link) -> bool:
    """Return whether there is no webhook to serve."""
    [row] = await link.fetch(_IDLE)
    idle: bool = row["idle"]
    return idle


async def take(
    link: Link, lease: int, limit: int, barred: list[int], allot: Callable[[list[Wish]], Mapping[int, int]]
) -> tuple[list[WebhookMessages], bool]:
    """Lease messages for webhooks that have work; return whether any such webhook has a rate.

    Takes at most `limit` webhooks, without the `barred` ones, and as many messages for each as `allot` gives it. It
    serves one webhook of each queue at a time, because a statement does not see which messages it has leased itself.
    """

    async def work() -> tuple[list[WebhookMessages], bool]:
        rows = await link.fetch(_WEBHOOKS, limit, barred)
        if not rows:
            return [], False
        due = [DueWebhook(**{field: row[field] for field in _DUE_FIELDS}, row=row) for row in rows]
        first: dict[int, DueWebhook] = {}
        for webhook in due:
            first.setdefault(webhook.queue_id, webhook)
        given = allot(await _wishes(link, list(first.values())))
        wanted = [(webhook, room) for webhook in first.values() if (room := given.get(webhook.id, 0)) > 0]
        standard = [(webhook, room) for webhook, room in wanted if not webhook.is_fifo]
        ordered = [(webhook, room) for webhook, room in wanted if webhook.is_fifo]
        taken = await _claim(link, lease, standard) if standard else []
        taken += await _claim_groups(link, lease, ordered) if ordered else []
        await _spend(link, taken)
        for part in taken:
            process_counts.received(part.webhook.queue_id, len(part.messages))
        return taken, any(webhook.tokens is not None for webhook in due)

    return await link.atomically(work)


async def _wishes(link: Link, due: list[DueWebhook]) -> list[Wish]:
    rows = await link.fetch(_IN_FLIGHT, [webhook.number for webhook in due], [webhook.id for webhook in due])
    in_flight = {row["id"]: row["messages"] for row in rows}
    return [
        Wish(webhook.id, webhook.project_id, min(webhook.most_requests - in_flight[webhook.id], webhook.affordable))
        for webhook in due
    ]


async def _spend(link: Link, taken: list[WebhookMessages]) -> None:
    limited = {
        part.webhook.id: part.webhook.tokens - len(part.messages) for part in taken if part.webhook.tokens is not None
    }
    if limited:
        await link.fetch(_SPEND, list(limited), list(limited.values()))


async def _claim(link: Link, lease: int, wanted: list[tuple[DueWebhook, int]]) -> list[WebhookMessages]:
    rows = await link.fetch(
        _CLAIM,
        [webhook.number for webhook, _ in wanted],
        [webhook.version for webhook, _ in wanted],
        [EPOCH] * len(wanted),
        [room for _, room in wanted],
        [_MOST_BYTES // len(wanted)] * len(wanted),
        [webhook.timeout + MARGIN for webhook, _ in wanted],
        lease,
        [webhook.id for webhook, _ in wanted],
        *share_columns([[]] * len(wanted)),
    )
    taken: list[WebhookMessages] = [WebhookMessages(webhook, lease, []) for webhook, _ in wanted]
    for row in rows[len(wanted) :]:
        taken[row["ord"] - 1].messages.append(leased(row))
    return [part for part in taken if part.messages]


async def _claim_groups(link: Link, lease: int, wanted: list[tuple[DueWebhook, int]]) -> list[WebhookMessages]:
    """Lease the first message of as many groups as there is room for: the second waits for the outcome of the first."""
    looks = [
        fifo.Look(
            webhook.number,
            webhook.version,
            EPOCH,
            [fifo.Receiver(1, _MOST_BYTES, webhook.timeout + MARGIN, [], webhook.id) for _ in range(room)],
        )
        for webhook, room in wanted
    ]
    await fifo.claim(link, looks, lease)
    taken = [
        WebhookMessages(webhook, lease, [message for receiver in look.receivers for message in receiver.messages])
        for (webhook, _), look in zip(wanted, looks, strict=True)
    ]
    return [part for part in taken if part.messages]


async def report(link: Link, reports: dict[Asked, Report]) -> None:
    """Store the outcomes of requests, in the order in which webhooks are locked."""
    ordered: list[tuple[Asked, Report]] = sorted(reports.items())
    values: list[list[Any]] = [
        [identity for (identity, _), _ in ordered],
        [updated_at for (_, updated_at), _ in ordered],
        [said.succeeded for _, said in ordered],
        [said.failed for _, said in ordered],
        [said.pause for _, said in ordered],
        [said.disabled for _, said in ordered],
        [said.error for _, said in ordered],
    ]
    await link.fetch(_REPORT, *values)
