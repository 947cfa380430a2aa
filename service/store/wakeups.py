"""Telling other processes that there may be something to do, and hearing it from them.

NOTIFY within the sending transaction would take a lock over the whole server at each commit. So it is done beside it,
at most every few milliseconds, on a connection of its own, and only while another process listens. It is a hint: who
waits also looks by the clock, and after a listener was lost everybody looks once.
"""

import asyncio
import secrets
import time
from collections.abc import Callable

import asyncpg
import structlog

from service.errors import Unavailable
from service.store.connections import LOST, Link, connect, settle_down
from service.telemetry import LISTENER_UP

_log = structlog.get_logger()

CHANNEL = "restante"
HEARTBEAT_SECONDS = 1.0
# A heartbeat of our own that does not come back for this long: the listener is deaf, whatever its socket says.
DEAF_SECONDS = 2.5
_DEBOUNCE_SECONDS = 0.003
_PAYLOAD_BYTES = 7900
# What a process remembers of projects it has confirmed, or asks about anew, within this time.
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
        # Set by whoever remembers projects.
        self.project_changed: Heard = _nothing
        self._me = secrets.token_hex(4)
        self._peers: dict[str, float] = {}
        self._pending_ready: dict[int, None] = {}
        self._pending_changed: dict[int, None] = {}
        self._pending_told: list[str] = []
        # Processes that have yet to say that they heard of a change, by the number of its telling.
        self._unheard: dict[int, set[str]] = {}
        self._all_heard: dict[int, asyncio.Event] = {}
        self._heartbeat_due = True
        self._stir = asyncio.Event()
        self._heard_self = time.monotonic()
        self._lost = asyncio.Event()
        self._listener: asyncpg.Connection | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def open(self) -> None:
        """Start to listen and to tell."""
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(self._listen(), name="listener"),
            loop.create_task(self._tell(), name="notifier"),
            loop.create_task(self._beat(), name="heartbeat"),
        ]

    async def close(self) -> None:
        """Stop."""
        for task in self._tasks:
            await settle_down(task)
        await self._hang_up()

    def ready(self, queue_id: int) -> None:
        """Tell others that messages of this queue have become visible, or will soon."""
        if self._peers:
            self._pending_ready[queue_id] = None
            self._stir.set()

    def queue_changed(self, queue_id: int) -> None:
        """Tell everybody, this process first, that a queue's configuration changed or that it is gone."""
        self._changed(queue_id)
        self._pending_changed[queue_id] = None
        self._stir.set()

    async def tell_of_project(self, project_id: int) -> None:
        """Return when no process goes by what the project was before.

        Each says that it has heard. One that does not has until then confirmed what it remembers, or forgotten it.
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
        """Note that a process has heard of a change."""
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
        """Take what waits to be told, in pieces that fit a notification."""
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
        """Send a hint; one that is lost costs the others a second."""
        try:
            await self._link.fetch(_NOTIFY, CHANNEL, payloads)
        except Unavailable:
            pass
        except asyncpg.PostgresError:
            # The server's queue of notifications is full, for instance.
            _log.exception("hint_refused")

    async def _beat(self) -> None:
        """Say that we live; notice when we do not hear it."""
        while True:
            self._heartbeat_due = True
            self._stir.set()
            self._each_second()
            now = time.monotonic()
            self._peers = {peer: at for peer, at in self._peers.items() if now - at < 3.5 * HEARTBEAT_SECONDS}
            if now - self._heard_self > DEAF_SECONDS:
                self._lost.set()
            await asyncio.sleep(HEARTBEAT_SECONDS)

    async def _listen(self) -> None:
        """Hold a connection that listens; open it anew whenever it is lost or deaf."""
        while True:
            try:
                await self._subscribe()
                await self._lost.wait()
                _log.warning("listener_lost")
            except LOST as error:
                _log.warning("listener_unavailable", error=f"{type(error).__name__}: {error}")
                await asyncio.sleep(0.5)
            except Exception:  # noqa: BLE001 - the listener comes back whatever happens
                _log.exception("listener_failed")
                await asyncio.sleep(0.5)
            LISTENER_UP.set(0)
            await self._hang_up()

    async def _subscribe(self) -> None:
        self._listener = await connect(self._url, "restante-listener")
        # Of this connection alone: the end of the one before may be told as late as now.
        lost = asyncio.Event()
        self._listener.add_termination_listener(lambda _connection: lost.set())
        await self._listener.add_listener(CHANNEL, self._hear)
        self._lost, self._heard_self = lost, time.monotonic()
        LISTENER_UP.set(1)
        # Whatever was told while nobody listened.
        self._missed()

    async def _hang_up(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None and not listener.is_closed():
            listener.terminate()

    def _hear(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        kind, sender, *words = str(payload).split(" ")
        if sender == self._me:
            self._heard_self = time.monotonic()
            return
        newcomer = sender not in self._peers
        self._peers[sender] = time.monotonic()
        if newcomer:
            # Nobody told us anything before the newcomer knew of us, nor we it.
            self._missed()
        if kind == "p":
            self._hear_of_project(*words)
        elif kind == "a":
            self._heard_by(sender, int(words[0], 16))
        tell = {"r": self._ready, "c": self._changed}.get(kind)
        if tell is not None:
            for word in words:
                tell(int(word, 16))
