"""Buffer the outcomes of requests and write them to the database: the states of webhooks, and attempts."""

from service.errors import Problem
from service.log import Seldom
from service.model import Attempt, Webhook
from service.push.outcomes import INTERRUPTED, Outcome
from service.store.messaging import pushes
from service.store.messaging.pushes import Asked, Report
from service.store.store import Store
from service.store.views import attempts
from service.telemetry import PUSH_UNRECORDED

# The maximum number of attempts written by one statement, and how many times the statement is tried.
_MOST_ENDED = 2000
_TRIES = 3


class Reports:
    """The outcomes of one process that are not yet written."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._link = store.push_link
        self._states: dict[Asked, Report] = {}
        self._ended: list[tuple[Webhook, Attempt]] = []
        self._tries = 0
        self._unrecorded = Seldom("push_attempts_unrecorded")

    def note(self, webhook: Webhook, outcome: Outcome) -> None:
        """Record the effect of an outcome on its webhook's state."""
        if outcome.error != INTERRUPTED:
            self._add((webhook.id, webhook.updated_at), _report(outcome))

    def note_attempt(self, webhook: Webhook, attempt: Attempt) -> None:
        """Record an attempt."""
        self._ended.append((webhook, attempt))

    async def write_states(self) -> None:
        """Write the states of webhooks. If it raises a Problem, the states are kept for the next call."""
        if not self._states:
            return
        states, self._states = self._states, {}
        try:
            await pushes.report(self._link, states)
        except Problem:
            since, self._states = self._states, states
            for asked, said in since.items():
                self._add(asked, said)
            raise

    async def write_attempts(self) -> None:
        """Write the attempts. If it raises a Problem, they are kept for the next call.

        Attempts that the database refuses are dropped after some tries, because delivering messages is more important
        than recording attempts.
        """
        while ended := self._ended[:_MOST_ENDED]:
            try:
                await self._store_attempts(ended)
            except Problem:
                raise
            except Exception as error:  # noqa: BLE001 - no error may stop the delivery of messages
                self._tries += 1
                if self._tries < _TRIES:
                    return
                PUSH_UNRECORDED.inc(len(ended))
                self._unrecorded.tell(type(error).__name__, error=str(error))
            self._tries = 0
            del self._ended[: len(ended)]

    async def _store_attempts(self, ended: list[tuple[Webhook, Attempt]]) -> None:
        try:
            await attempts.store(self._link, ended)
        except attempts.DayMissing:
            # The table partition of this day does not exist yet.
            await attempts.keep_days(self._store.engine, self._store.clock.now())
            await attempts.store(self._link, ended)

    def _add(self, asked: Asked, said: Report) -> None:
        before = self._states.get(asked)
        self._states[asked] = said if before is None else before.followed_by(said)


def _report(outcome: Outcome) -> Report:
    if outcome.succeeded:
        return Report(succeeded=True)
    return Report(failed=1, error=outcome.sentence, pause=outcome.pause, disabled=outcome.is_gone)
