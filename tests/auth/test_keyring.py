"""Who is let in, and for how long."""

import asyncio
import time
from datetime import timedelta
from urllib.parse import urlsplit

import asyncpg
import pytest

from service.auth.keyring import Keyring
from service.auth.keys import hash_of, is_secret, new_secret
from service.auth.scopes import require, require_queue
from service.errors import Forbidden, NotFound, Problem, Unauthenticated, Unavailable
from service.model import Caller, Scope
from service.store.store import Store
from tests.conftest import in_postgres
from tests.in_process import ROOT_KEY, Service

pytestmark = pytest.mark.anyio

ROOT = f"Bearer {ROOT_KEY}".encode()


class Clock:
    """time.monotonic, which stands still and is moved by the test alone: it does not matter how long anything takes."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self._stands_at = time.monotonic()

    def __call__(self) -> float:
        return self._stands_at + self.ahead


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("service.auth.keyring.time.monotonic", clock)
    return clock


async def make_key(sql: asyncpg.Connection, project: str = "default", expires: str = "null") -> bytes:
    """Make a key past the service; return what goes into Authorization."""
    secret = new_secret()
    await sql.execute("insert into project values (1, $1, now(), now()) on conflict do nothing", project)
    await sql.execute(
        "insert into api_key select gen_random_uuid(), id, 'k', $1, '{send}', '{*}', "
        f"{expires}, now() from project where name = $2",
        hash_of(secret.encode()),
        project,
    )
    return f"Bearer {secret}".encode()


def failure(found: Caller | BaseException) -> type[BaseException]:
    assert isinstance(found, BaseException)
    return type(found)


async def test_a_key_opens_its_project_and_is_remembered(store: Store, sql: asyncpg.Connection) -> None:
    key = await make_key(sql)
    keyring = Keyring(store, ROOT_KEY)
    assert keyring.known(key, None) is None
    caller = await keyring.caller(key, None)
    assert (caller.project_name, caller.scopes, caller.queues) == ("default", frozenset({Scope.SEND}), ("*",))
    assert keyring.known(key, None) is caller
    assert keyring.known(key, b"default") is None
    assert (await keyring.caller(key, b"default")).key == caller.key


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        b"",
        b"Bearer",
        b"Bearer ",
        b"Basic Zm9vOmJhcg==",
        b"Bearer x",
        b"Bearer " + b"x" * 100_000,
        b"Bearer \xff\x00",
        pytest.param(b"Bearer " + new_secret().encode(), id="nobody's"),
        b"Bearer rk_" + b"A" * 49,
        b"bearer",
        ROOT + b"x",
        ROOT[7:],
    ],
)
async def test_whatever_is_no_key_gets_one_and_the_same_answer(store: Store, authorization: bytes | None) -> None:
    keyring = Keyring(store, ROOT_KEY)
    assert keyring.known(authorization, None) is None
    with pytest.raises(Unauthenticated) as raised:
        await keyring.caller(authorization, None)
    assert raised.value.headers == {"WWW-Authenticate": "Bearer"}


async def test_the_scheme_may_be_written_in_any_case(store: Store) -> None:
    keyring = Keyring(store, ROOT_KEY)
    assert (await keyring.caller(b"bEARER  " + ROOT_KEY.encode(), None)).is_operator


async def test_garbage_costs_the_database_nothing() -> None:
    secret = new_secret()
    assert is_secret(secret.encode())
    for position in range(len(secret)):
        changed = "B" if secret[position] != "B" else "C"
        assert not is_secret((secret[:position] + changed + secret[position + 1 :]).encode())


async def test_the_root_key_acts_in_the_project_it_names(store: Store, sql: asyncpg.Connection) -> None:
    await sql.execute("insert into project values (7, 'shop', now(), now())")
    keyring = Keyring(store, ROOT_KEY)
    assert (await keyring.caller(ROOT, None)).project_name == "default"
    shop = await keyring.caller(ROOT, b"shop")
    assert (shop.project_id, shop.is_operator, shop.has_scope(Scope.ADMIN)) == (7, True, True)
    for name in (b"none", b"", b"\xff", b"sh\x00p"):
        with pytest.raises(Problem) as raised:
            await keyring.caller(ROOT, name)
        assert (raised.value.status, raised.value.problem_code) == (404, "project_not_found")


async def test_a_project_made_anew_is_not_taken_for_the_old_one(store: Store, sql: asyncpg.Connection) -> None:
    await sql.execute("insert into project values (7, 'shop', now(), now())")
    keyring = Keyring(store, ROOT_KEY)
    await keyring.caller(ROOT, b"shop")
    await sql.execute("delete from project where id = 7")
    with pytest.raises(NotFound):
        await keyring.caller(ROOT, b"shop", fresh=True)
    assert keyring.known(ROOT, b"shop") is None
    await sql.execute("insert into project values (8, 'shop', now(), now())")
    assert (await keyring.caller(ROOT, b"shop", fresh=True)).project_id == 8


async def test_a_projects_key_beside_another_projects_name_is_refused(store: Store, sql: asyncpg.Connection) -> None:
    key = await make_key(sql)
    await sql.execute("insert into project values (7, 'shop', now(), now())")
    keyring = Keyring(store, ROOT_KEY)
    for name in (b"shop", b"none", b"Default"):
        with pytest.raises(Forbidden):
            await keyring.caller(key, name)


async def test_a_used_key_is_confirmed_in_the_background(store: Store, sql: asyncpg.Connection, clock: Clock) -> None:
    key = await make_key(sql)
    keyring = Keyring(store, ROOT_KEY)
    await keyring.caller(key, None)
    await keyring.caller(ROOT, None)
    for _ in range(5):
        clock.ahead += 1.5
        assert keyring.known(key, None) is not None
        assert keyring.known(ROOT, None) is not None
        assert keyring._renewing is not None
        await keyring._renewing


async def test_a_revoked_key_stops_when_it_is_confirmed(store: Store, sql: asyncpg.Connection, clock: Clock) -> None:
    used, idle = await make_key(sql), await make_key(sql)
    keyring = Keyring(store, ROOT_KEY)
    await keyring.caller(used, None)
    await keyring.caller(idle, None)
    await sql.execute("delete from api_key")
    clock.ahead += 1.5
    assert keyring.known(used, None) is not None
    assert keyring._renewing is not None
    await keyring._renewing
    clock.ahead += 1
    for key in (used, idle):
        assert keyring.known(key, None) is None
        with pytest.raises(Unauthenticated):
            await keyring.caller(key, None)


async def test_while_the_database_is_away_a_key_serves_five_seconds_and_no_longer(
    postgres: str, database: str, store: Store, sql: asyncpg.Connection, clock: Clock
) -> None:
    key = await make_key(sql)
    keyring = Keyring(store, ROOT_KEY)
    for authorization in (key, ROOT):
        await keyring.caller(authorization, None)
    await sql.close()
    await store.engine.dispose()
    in_postgres(postgres, f"alter database {urlsplit(database).path[1:]} allow_connections false")
    clock.ahead += 4.5
    for authorization in (key, ROOT):
        assert keyring.known(authorization, None) is None
        assert await keyring.caller(authorization, None) is not None
    clock.ahead += 0.6
    for authorization in (key, ROOT):
        with pytest.raises(Unavailable):
            await keyring.caller(authorization, None)


async def test_an_expired_key_stops_at_once(
    store: Store, sql: asyncpg.Connection, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So that it is not for its age that it is known no more.
    monkeypatch.setattr("service.auth.keyring.CONFIRM_SECONDS", 3600.0)
    keyring = Keyring(store, ROOT_KEY)
    with pytest.raises(Unauthenticated):
        await keyring.caller(await make_key(sql, expires="clock_timestamp() - interval '1 microsecond'"), None)
    key = await make_key(sql, expires="clock_timestamp() + interval '1 minute'")
    await keyring.caller(key, None)
    assert keyring.known(key, None) is not None
    clock.ahead += 60
    assert keyring.known(key, None) is None


async def test_what_is_remembered_is_bounded(
    store: Store, sql: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.auth.keyring.REMEMBERED", 3)
    keyring = Keyring(store, ROOT_KEY)
    callers = await asyncio.gather(*[keyring.caller(await make_key(sql), None) for _ in range(5)])
    assert len(keyring._entries) == 3
    assert keyring.take_used().keys() == {caller.key for caller in callers}


async def test_many_at_once_ask_the_database_once(store: Store, sql: asyncpg.Connection) -> None:
    key = await make_key(sql)
    keyring = Keyring(store, ROOT_KEY)
    callers = await asyncio.gather(*(keyring.caller(key, None) for _ in range(50)))
    assert len({id(caller) for caller in callers}) == 1


async def test_last_use_is_told_once_by_the_databases_clock(
    store: Store, sql: asyncpg.Connection, clock: Clock
) -> None:
    key = await make_key(sql)
    keyring = Keyring(store, ROOT_KEY)
    caller = await keyring.caller(key, None)
    assert keyring.take_used().keys() == {caller.key}
    assert keyring.take_used() == {}
    clock.ahead += 0.5
    keyring.known(key, None)
    clock.ahead += 40
    [used_at] = keyring.take_used().values()
    assert store.clock.now() - used_at == timedelta(seconds=40)


async def test_scopes_and_patterns_say_what_is_missing() -> None:
    caller = Caller(1, "default", frozenset({Scope.SEND}), ("orders-*",))
    require(caller, (Scope.SEND,))
    with pytest.raises(Forbidden, match="'manage'"):
        require(caller, (Scope.SEND, Scope.MANAGE))
    require(Caller(1, "default", frozenset({Scope.ADMIN})), Scope)
    require_queue(caller, "orders-")
    for name in ("orders", "xorders-1", "Orders-1"):
        with pytest.raises(Forbidden, match=r"orders-\*"):
            require_queue(caller, name)


async def test_a_key_revoked_here_stops_here_at_once(service: Service) -> None:
    secret = await service.key("admin")
    async with service.client(secret) as client:
        assert (await client.get("/v1/whoami")).status_code == 200
        key_id = (await client.get("/v1/whoami")).json()["key_id"]
        assert (await client.delete(f"/v1/keys/{key_id}")).status_code == 204
        assert (await client.get("/v1/whoami")).status_code == 401
