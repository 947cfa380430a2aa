"""What those who run the service ask."""

import asyncio

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.store.database.wakeups import Wakeups
from tests.api.resources.test_queues import problem
from tests.faults.test_failover import END_ALL
from tests.in_process import Service, in_process, messages

pytestmark = pytest.mark.anyio


async def counted(client: httpx.AsyncClient, name: str, **labels: str) -> float:
    """Return the value of a series, 0 before it was ever counted."""
    text = (await client.get("/metrics")).text
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == name and labels.items() <= sample.labels.items():
                return float(sample.value)
    return 0.0


async def test_it_is_alive_and_ready_for_whoever_asks(service: Service) -> None:
    async with service.client(None) as client:
        for path in ("/healthz", "/readyz"):
            answer = await client.get(path)
            assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_it_is_not_ready_with_another_schema(service: Service) -> None:
    await service.sql.execute("update alembic_version set version_num = '9999'")
    assert problem(await service.root.get("/readyz"))[:2] == (503, "unavailable")
    await service.sql.execute("drop table alembic_version")
    assert problem(await service.root.get("/readyz"))[:2] == (503, "unavailable")
    assert (await service.root.get("/healthz")).status_code == 200


async def test_it_is_not_ready_until_it_hears_other_processes(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    heard = asyncio.Event()
    subscribe = Wakeups._subscribe

    async def later(wakeups: Wakeups) -> None:
        await heard.wait()
        await subscribe(wakeups)

    monkeypatch.setattr(Wakeups, "_subscribe", later)
    async with in_process(database) as service:
        answer = await service.root.get("/readyz")
        assert problem(answer)[:2] == (503, "unavailable")
        assert "notifications" in answer.json()["detail"]
        heard.set()
        await service.app._store.wakeups.heard(10)
        assert (await service.root.get("/readyz")).status_code == 200


async def test_it_is_not_ready_while_the_database_takes_no_writes_and_reads_go_on(service: Service) -> None:
    key = await service.key("admin")
    await service.queue()
    await service.root.put("/v1/topics/t")
    await service.root.post("/v1/queues/q/messages", json={"body": 1})
    reads = (
        "/v1/queues",
        "/v1/queues/q",
        "/v1/queues/q/messages",
        "/v1/topics/t",
        "/v1/keys",
        "/v1/overview",
        "/v1/whoami",
    )
    name = await service.sql.fetchval("select current_database()")
    await service.sql.execute(f'alter database "{name}" set default_transaction_read_only = on')
    await service.sql.execute(END_ALL)
    async with service.client(key) as client, asyncio.timeout(20):
        while "accepts no writes" not in (await client.get("/readyz")).text:  # noqa: ASYNC110 - another process' state
            await asyncio.sleep(0.05)
        assert [(await client.get(path)).status_code for path in reads] == [200] * len(reads)
        for path in ("/v1/queues/q/messages", "/v1/queues/q/messages/receive", "/v1/queues/q/purge"):
            answer = await client.post(path, json={"body": 1} if path.endswith("messages") else {})
            assert problem(answer)[:2] == (503, "unavailable"), path
            assert "accepts no writes" in answer.json()["detail"], path
        await service.sql.execute(f'alter database "{name}" reset default_transaction_read_only')
        while (await client.get("/readyz")).status_code != 200:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        assert (await client.post("/v1/queues/q/messages", json={"body": 1})).status_code == 201


async def test_it_is_not_ready_while_it_stops(service: Service) -> None:
    service.app.drain()
    answer = await service.root.get("/readyz")
    assert problem(answer)[:2] == (503, "unavailable")
    assert "shutting down" in answer.json()["detail"]


async def test_requests_are_counted_by_template_and_never_by_name(service: Service) -> None:
    queue = {"method": "GET", "route": "/v1/queues/{queue}", "status": "4xx"}
    nothing = {"method": "GET", "route": "unmatched", "status": "4xx"}
    before = [await counted(service.root, "restante_http_requests_total", **labels) for labels in (queue, nothing)]
    for name in ("very-secret-1", "very-secret-2"):
        await service.root.get(f"/v1/queues/{name}")
        await service.root.get(f"/{name}")
    after = [await counted(service.root, "restante_http_requests_total", **labels) for labels in (queue, nothing)]
    assert [later - earlier for earlier, later in zip(before, after, strict=True)] == [2, 2]
    assert "very-secret" not in (await service.root.get("/metrics")).text


async def test_every_metric_is_described(service: Service) -> None:
    await service.root.put("/v1/queues/q")
    async with service.client(None) as client:
        answer = await client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = [family for family in text_string_to_metric_families(answer.text) if family.name.startswith("restante_")]
    assert len(families) > 10
    assert all(family.documentation for family in families)


async def test_messages_are_counted_on_their_way(service: Service) -> None:
    names = ("sent", "received", "redelivered", "settled")
    before = {name: await counted(service.root, f"restante_messages_{name}_total") for name in names}
    await service.queue(visibility_timeout=0)
    await service.root.post("/v1/queues/q/messages", json={"body": 1})
    received = []
    for _ in range(2):
        received = (await service.root.post("/v1/queues/q/messages/receive")).json()["messages"]
    await service.root.delete(f"/v1/receipts/{received[0]['receipt']}")
    deletes = await counted(service.root, "restante_messages_settled_total", action="delete")
    after = {name: await counted(service.root, f"restante_messages_{name}_total") for name in names}
    assert {name: after[name] - before[name] for name in names[:3]} == {"sent": 1, "received": 2, "redelivered": 1}
    assert deletes >= 1


async def test_the_oldest_transaction_is_watched(service: Service) -> None:
    async def age() -> float:
        return await counted(service.root, "restante_oldest_transaction_age_seconds")

    # Where the database takes long to answer, the last figure stays; and others may have transactions, too.
    async with asyncio.timeout(20):
        async with service.sql.transaction():
            await service.sql.execute("select 1")
            while await age() < 0.2:
                pass
        while await age() >= 0.2:
            pass


async def test_purged_messages_are_counted_as_they_go(service: Service) -> None:
    before = await counted(service.root, "restante_messages_removed_total")
    number = await service.queue()
    await messages(service.sql, number, 30)
    await service.root.post("/v1/queues/q/purge")
    while await service.sql.fetchval("select count(*) from message"):
        await service.root.get("/healthz")
    while await counted(service.root, "restante_messages_removed_total") - before < 30:
        pass


async def test_webhooks_are_counted_by_state_and_their_backlog_has_an_age(service: Service) -> None:
    await service.queue()
    for name in "abcd":
        url = "http://127.0.0.1:1/"
        await service.root.put(f"/v1/queues/q/webhooks/{name}", json={"url": url, "enabled": name == "a"})
    assert await counted(service.root, "restante_push_backlog_age_seconds") == 0
    await service.sql.execute(
        "update webhook set enabled = name <> 'd', "
        "paused_until = case when name in ('a', 'c') then 'infinity'::timestamptz end, "
        "open_until = case name when 'b' then 'infinity'::timestamptz end, "
        "openings = case name when 'b' then 1 else 0 end"
    )
    past = "clock_timestamp() - interval '90 seconds'"
    number = await service.sql.fetchval("select number from queue")
    await messages(service.sql, number, 2, visible_at=past, first_visible_at=past)
    found = {
        state: await counted(service.root, "restante_webhooks", state=state)
        for state in ("active", "paused", "circuit_open", "disabled")
    }
    assert found == {"active": 0, "paused": 2, "circuit_open": 1, "disabled": 1}
    assert 90 <= await counted(service.root, "restante_push_backlog_age_seconds") < 120
    await service.sql.execute("update webhook set paused_until = null, enabled = false")
    assert await counted(service.root, "restante_webhooks", state="disabled") == 4
    assert await counted(service.root, "restante_push_backlog_age_seconds") == 0
