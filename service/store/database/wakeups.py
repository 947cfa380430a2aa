"""Notifications between processes that there may be something to do.

NOTIFY within the sending transaction would take a lock over the whole server at each commit. So notifications are sent
outside of it, at most every few milliseconds, on a connection of their own, and only while another process listens. A
notification is a hint: every line is also served by the clock, and once after a listener was lost.
"""

import asyncio
import contextlib
import secrets
import time
from collections.abc import Callable

import asyncpg
import structlog

from service.errors import Unavailable
from service.log import Seldom
from service.store.database.connections import LOST, Link, connect, settle_down
from service.telemetry import LISTENER_UP

_log = structlog.get_logger()
_refused = Seldom("notifications_refused")
_unavailable = Seldom("listener_unavailable")

CHANNEL = "restante"
HEARTBEAT_SECONDS = 1.0
# After this many heartbeats of its own that it did not receive, a listener is broken, even if its socket is open.
# Beats are counted instead of time, because a process that stood still for a while could not receive any.
DEAF_BEATS = 2
# A process that was not heard of for so many heartbeats has ended.
_PEER_BEATS = 3.5
_DEBOUNCE_SECONDS = 0.003
_PAYLOAD_BYTES = 7900
# Within this time a process confirms what it has cached of a project, or looks it up again.
TRUSTED_SECONDS = 2.0
_NOTIFY = "select pg_notify($1, payload) from unnest($2::text[]) as payload"

Heard = Callable[[int], None]
Notice = Callable[[], None]


def _nothing(_number: int) -> None:
    pass


class Wakeups:
    """The notifier and the listener of one process. Queues are named by their ids."""

    def __init__(
        self, link: Link, url: str, *, ready: Heard, changed: Heard, missed: Notice, each_second: Notice
    ) -> None:
        self._link = link
        self._url = url
        self._ready = ready
        self._changed = changed
        self._missed = missed
        self._each_second = each_second
        # Set by the keyring, which caches the limits of projects.
        self.project_changed: Heard = _nothing
        self._me = secrets.token_hex(4)
        self._peers: dict[str, float] = {}
        # Until then, other processes may be listening that this one has not heard of.
        self._acquainted_at = 0.0
        self._pending_ready: dict[int, None] = {}
        self._pending_changed: dict[int, None] = {}
        self._pending_told: list[str] = []
        # Processes that have not acknowledged a change yet, by the number of its announcement.
        self._unheard: dict[int, set[str]] = {}
        self._all_heard: dict[int, asyncio.Event] = {}
        self._heartbeat_due = True
        self._stir = asyncio.Event()
        self._unheard_beats = 0
        self._lost = asyncio.Event()
        self._listener: asyncpg.Connection | None = None
        self._listening = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def open(self) -> None:
        """Start to listen and to notify."""
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(self._listen(), name="listener"),
            loop.create_task(self._tell(), name="notifier"),
            loop.create_task(self._beat(), name="heartbeat"),
        ]

    @property
    def are_heard(self) -> bool:
        """Return whether the notifications of other processes are received."""
        return self._listening.is_set()

    async def heard(self, seconds: float) -> None:
        """Wait up to `seconds` until the notifications of other processes are received."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._listening.wait()

    async def close(self) -> None:
        """Stop listening and notifying."""
        for task in self._tasks:
            await settle_down(task)
        await self._hang_up()

    def ready(self, queue_id: int) -> None:
        """Notify other processes that messages of this queue have become visible, or will soon."""
        if self._peers or time.monotonic() < self._acquainted_at:
            self._pending_ready[queue_id] = None
            self._stir.set()

    def queue_changed(self, queue_id: int) -> None:
        """Notify every process, this one first, that a queue was changed or deleted."""
        self._changed(queue_id)
        self._pending_changed[queue_id] = None
        self._stir.set()

    async def tell_of_project(self, project_id: int) -> None:
        """Notify every process of a project's change, and return when none applies the former limits.

        Each process acknowledges the change. If one does not, this waits for TRUSTED_SECONDS, after which that process
        has confirmed what it has cached, or dropped it.
        """
        self.project_changed(project_id)
        telling, heard = secrets.randbits(60), asyncio.Event()
        self._unheard[telling], self._all_heard[telling] = set(self._peers), heard
        if self._listener is not None and not self._peers:
            heard.set()
        self._pending_told.append(f"p {self._me} {telling:x} {project_id:x}")
        self._stir.set()
        try:
            async with asyncio.timeout(TRUSTED_SECONDS):
                await heard.wait()
        except TimeoutError:
            _log.info("project_change_unheard", processes=len(self._unheard[telling]))
        finally:
            del self._unheard[telling], self._all_heard[telling]

    def _hear_of_project(self, telling: str, project_id: str) -> None:
        self.project_changed(int(project_id, 16))
        self._pending_told.append(f"a {self._me} {telling}")
        self._stir.set()

    def _heard_by(self, sender: str, telling: int) -> None:
        """Note that a process has acknowledged a change."""
        unheard = self._unheard.get(telling)
        if unheard is not None:
            unheard.discard(sender)
            if not unheard:
                self._all_heard[telling].set()

    async def _tell(self) -> None:
        while True:
            await self._stir.wait()
            self._stir.clear()
            payloads = [*self._payloads("r", self._pending_ready), *self._payloads("c", self._pending_changed)]
            payloads += self._pending_told
            self._pending_told.clear()
            if self._heartbeat_due:
                payloads.append(f"h {self._me}")
                self._heartbeat_due = False
            await self._notify(payloads)
            await asyncio.sleep(_DEBOUNCE_SECONDS)

    def _payloads(self, kind: str, pending: dict[int, None]) -> list[str]:
        """Empty `pending` into payloads that each fit a notification."""
        payloads, line = [], f"{kind} {self._me}"
        for queue_id in pending:
            word = f" {queue_id:x}"
            if len(line) + len(word) > _PAYLOAD_BYTES:
                payloads.append(line)
                line = f"{kind} {self._me}"
            line += word
        if pending:
            payloads.append(line)
        pending.clear()
        return payloads

    async def _notify(self, payloads: list[str]) -> None:
        """Send notifications. A lost one delays the other processes by a second at most."""
        try:
            await self._link.fetch(_NOTIFY, CHANNEL, payloads)
        except Unavailable:
            pass
        except asyncpg.PostgresError as error:
            # The server's queue of notifications may be full. Then no heartbeat can be expected either.
            _refused.tell(type(error).__name__, error=str(error))
            self._unheard_beats = 0

    async def _beat(self) -> None:
        """Send heartbeats, and notice if they do not come back."""
        while True:
            self._beat_now()
            self._each_second()
            now = time.monotonic()
            self._peers = {peer: at for peer, at in self._peers.items() if now - at < _PEER_BEATS * HEARTBEAT_SECONDS}
            if self._unheard_beats >= DEAF_BEATS:
                self._lost.set()
            self._unheard_beats += 1
            await asyncio.sleep(HEARTBEAT_SECONDS)

    def _beat_now(self) -> None:
        self._heartbeat_due = True
        self._stir.set()

    async def _listen(self) -> None:
        """Keep a connection that listens; open another one whenever it is lost or receives nothing."""
        while True:
            try:
                await self._subscribe()
                await self._lost.wait()
                _log.warning("listener_lost")
            except LOST as error:
                _unavailable.tell(type(error).__name__, error=str(error))
                await asyncio.sleep(0.5)
            except Exception:  # noqa: BLE001 - the listener must recover from every error
                _log.exception("listener_failed")
                await asyncio.sleep(0.5)
            LISTENER_UP.set(0)
            await self._hang_up()

    async def _subscribe(self) -> None:
        self._listener = await connect(self._url, "restante-listener")
        # An event for this connection alone: the end of the previous one may be reported as late as now.
        lost = asyncio.Event()
        self._listener.add_termination_listener(lambda _connection: lost.set())
        await self._listener.add_listener(CHANNEL, self._hear)
        self._lost, self._unheard_beats = lost, 0
        self._acquainted_at = time.monotonic() + _PEER_BEATS * HEARTBEAT_SECONDS
        LISTENER_UP.set(1)
        self._listening.set()
        self._beat_now()
        # Notifications that were sent before this connection listened were missed.
        self._missed()

    async def _hang_up(self) -> None:
        self._listening.clear()
        listener, self._listener = self._listener, None
        if listener is not None and not listener.is_closed():
            listener.terminate()

    def _hear(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        kind, sender, *words = str(payload).split(" ")
        if sender == self._me:
            self._unheard_beats = 0
            return
        newcomer = sender not in self._peers
        self._peers[sender] = time.monotonic()
        if newcomer:
            # Until now, neither process has notified the other. The heartbeat makes this process known to the new one.
            self._missed()
            self._beat_now()
        if kind == "p":
            self._hear_of_project(*words)
        elif kind == "a":
            self._heard_by(sender, int(words[0], 16))
        tell = {"r": self._ready, "c": self._changed}.get(kind)
        if tell is not None:
            for word in words:
                tell(int(word, 16))
