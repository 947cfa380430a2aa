"""What was done with messages in the last hour, as every process has written it down."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from service.errors import Unavailable
from service.store.database import process_counts
from service.store.database.transaction import transaction
from service.store.store import Store
from service.store.views import activity
from tests.api.resources.test_queues import problem
from tests.in_process import Service, in_process
from tests.push.sink import answers, sink

pytestmark = pytest.mark.anyio

KINDS = ("sent", "received", "deleted", "dead_lettered", "total")


def store_of(service: Service) -> Store:
    return service.app._store


async def ask(client: httpx.AsyncClient, path: str) -> dict[str, Any]:
    answer = await client.get(path)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def counted(service: Service, queue: str = "q") -> tuple[int, ...]:
    """Return what is counted over the hour, and how many messages there are now, and were before."""
    await activity.write(store_of(service).engine)
    found = await ask(service.root, f"/v1/queues/{queue}/activity")
    assert all(len(found[kind]) == 60 for kind in KINDS)
    return *(sum(found[kind]) for kind in KINDS[:-1]), found["total"][-1], found["total"][0]


async def becomes(service: Service, *wanted: int, queue: str = "q") -> None:
    """Return when this is counted: the service's own chore may be writing it down at the moment."""
    seen: tuple[int, ...] = ()
    async with asyncio.timeout(10):
        while (seen := await counted(service, queue)) != wanted:
            assert all(have <= want for have, want in zip(seen[:4], wanted[:4], strict=True)), (seen, wanted)
            await asyncio.sleep(0.02)


async def post(service: Service, path: str, body: Any, **options: Any) -> dict[str, Any]:
    answer = await service.root.post(path, json=body, **options)
    assert answer.status_code < 300, answer.text
    found: dict[str, Any] = answer.json() if answer.content else {}
    return found


async def send(service: Service, count: int = 1, queue: str = "q", **fields: Any) -> None:
    drafts = [{"body": number, "group": "g", **fields} for number in range(count)]
    await post(service, f"/v1/queues/{queue}/messages/batch", {"messages": drafts})


async def received(service: Service, queue: str = "q", count: int = 100) -> list[str]:
    """Receive; return the receipts."""
    found = await post(service, f"/v1/queues/{queue}/messages/receive", {"max_messages": count})
    return [message["receipt"] for message in found["messages"]]


async def settle(service: Service, receipts: list[str], action: str, **fields: Any) -> None:
    items = [{"receipt": receipt, "action": action, **fields} for receipt in receipts]
    results = (await post(service, "/v1/receipts/batch", {"items": items}))["results"]
    assert [result["status"] for result in results] == ["ok"] * len(receipts)


@pytest.fixture(params=["standard", "fifo"])
async def kind(service: Service, request: pytest.FixtureRequest) -> str:
    """Give a queue with its dead-letter queue, of either type."""
    await service.queue("dead", type=request.param)
    await service.queue("q", type=request.param, dead_letter={"queue": "dead", "max_receives": 1})
    return str(request.param)


async def test_a_queue_in_which_nothing_was_done_has_noughts(service: Service) -> None:
    await service.queue()
    await becomes(service, 0, 0, 0, 0, 0, 0)


async def test_every_way_to_send_counts(service: Service) -> None:
    await service.queue()
    await service.queue("bounded", max_length=10)
    await post(service, "/v1/queues/q/messages", {"body": 1})
    await send(service, 3)
    await service.root.post("/v1/queues/q/raw", content=b"x")
    once = {"body": 1, "deduplication_id": "a"}
    for _ in range(2):
        await post(service, "/v1/queues/q/messages", once)
    await post(service, "/v1/transactions", {"send": [{"queue": "q", "body": 1}, {"queue": "bounded", "body": 1}]})
    for path, fields in (("/v1/topics/t", {}), ("/v1/topics/t/subscriptions/s", {"queue": "q"})):
        made = await service.root.put(path, json=fields)
        assert made.status_code == 201, made.text
    await post(service, "/v1/topics/t/messages", {"body": 1})
    await post(service, "/v1/topics/t/messages/batch", {"messages": [{"body": 1}, {"body": 2}]})
    await becomes(service, 10, 0, 0, 0, 10, 0)
    await send(service, 2, "bounded")
    await becomes(service, 3, 0, 0, 0, 3, 0, queue="bounded")


async def test_what_was_not_stored_does_not_count(service: Service) -> None:
    await service.queue(max_length=2)
    await service.queue("other")
    drafts = [{"body": number} for number in range(3)]
    assert (await service.root.post("/v1/queues/q/messages/batch", json={"messages": drafts})).status_code == 429
    members = [{"queue": "other", "body": 1}, *({"queue": "q", "body": number} for number in range(3))]
    assert (await service.root.post("/v1/transactions", json={"send": members})).status_code == 429
    await becomes(service, 0, 0, 0, 0, 0, 0)
    await becomes(service, 0, 0, 0, 0, 0, 0, queue="other")


async def test_receives_and_deletes_count(service: Service, kind: str) -> None:
    await send(service, 4)
    receipts = await received(service)
    await settle(service, receipts[:1], "release", count=False)
    await settle(service, receipts[1:3], "delete")
    await settle(service, receipts[1:3], "delete")
    await post(service, "/v1/transactions", {"settle": [{"receipt": receipts[3], "action": "delete"}]})
    await becomes(service, 4, 4, 3, 0, 1, 0)
    [again] = await received(service)
    assert (await service.root.delete(f"/v1/receipts/{again}")).status_code == 204
    await becomes(service, 4, 5, 4, 0, 0, 0)
    assert kind


async def test_what_a_webhook_takes_is_received_and_deleted_and_its_attempts_count(service: Service) -> None:
    await service.queue()
    async with sink(answers(500, 204)) as target:
        fields = {"url": target.url, "retry": {"delays": [0.1]}}
        await service.root.put("/v1/queues/q/webhooks/w", json=fields)
        await send(service)
        await target.wait_for(2)
        await becomes(service, 1, 2, 1, 0, 0, 0)
        async with asyncio.timeout(10):
            while await _attempts(service) != (2, 1):  # noqa: ASYNC110 - it is written down by and by
                await asyncio.sleep(0.02)


async def _attempts(service: Service) -> tuple[int, int]:
    await activity.write(store_of(service).engine)
    [row] = await service.sql.fetch("select sum(attempts) as made, sum(succeeded) as succeeded from project_activity")
    return row["made"], row["succeeded"]


async def test_dead_letters_leave_one_queue_and_come_to_the_other(service: Service, kind: str) -> None:
    await send(service, 3)
    await settle(service, await received(service), "reject")
    await becomes(service, 3, 3, 0, 3, 0, 0)
    await becomes(service, 0, 0, 0, 0, 3, 0, queue="dead")
    await post(service, "/v1/queues/dead/redrive", {})
    await becomes(service, 3, 3, 0, 3, 3, 0)
    await becomes(service, 0, 0, 0, 0, 0, 0, queue="dead")
    assert kind


async def test_the_last_lease_that_ends_and_the_message_that_expires_leave_the_queue(service: Service) -> None:
    await service.queue("dead")
    letter = {"queue": "dead", "max_receives": 1, "expired": True}
    await service.queue("q", dead_letter=letter, visibility_timeout=0.05)
    await send(service, 2)
    await received(service)
    await send(service, 1, ttl=1)
    await becomes(service, 3, 2, 0, 3, 0, 0)
    await becomes(service, 0, 0, 0, 0, 3, 0, queue="dead")


async def test_what_expires_or_is_dropped_is_neither_deleted_nor_dead_lettered(service: Service) -> None:
    await service.queue()
    await send(service, 2, ttl=1)
    await send(service, 1)
    await becomes(service, 3, 0, 0, 0, 1, 0)
    await settle(service, await received(service), "reject", drop=True)
    await becomes(service, 3, 1, 0, 0, 0, 0)


async def test_deletes_by_id_and_by_filter_count_as_deletes_and_a_purge_only_takes_away(service: Service) -> None:
    await service.queue()
    first = await post(service, "/v1/queues/q/messages", {"body": 1})
    assert (await service.root.delete(f"/v1/queues/q/messages/{first['id']}")).status_code == 204
    await send(service, 2, headers={"a": "b"})
    await post(service, "/v1/queues/q/messages/actions", {"action": "delete", "filter": {"header.a": "b"}})
    await becomes(service, 3, 0, 3, 0, 0, 0)
    await send(service, 4)
    await post(service, "/v1/queues/q/purge", {})
    await becomes(service, 7, 0, 3, 0, 0, 0)


async def test_what_is_written_at_the_same_moment_is_added_up(service: Service) -> None:
    await service.queue()
    project_id = await service.sql.fetchval("select project_id from queue")
    queue_id = await service.sql.fetchval("select id from queue")
    engine = store_of(service).engine
    for _ in range(5):
        process_counts.sent(queue_id, 2)
        process_counts.sent(404, 7)
        first = asyncio.create_task(activity.write(engine))
        await asyncio.sleep(0)
        process_counts.deleted(queue_id, 1)
        await asyncio.gather(first, activity.write(engine))
    await becomes(service, 10, 0, 5, 0, 0, 0)
    assert await service.sql.fetchval("select sum(growth) from project_activity where project_id = $1", project_id) == 5
    assert await service.sql.fetchval("select count(*) from queue_activity where queue_id <> $1", queue_id) == 0


async def test_what_cannot_be_written_is_written_later(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    await service.queue()

    async def away(*_: Any) -> None:
        raise Unavailable

    with monkeypatch.context() as patch:
        patch.setattr(activity, "transaction", away)
        await send(service, 3)
        with pytest.raises(Unavailable):
            await activity.write(store_of(service).engine)
    await becomes(service, 3, 0, 0, 0, 3, 0)


async def test_what_was_counted_last_is_written_when_the_process_ends(database: str) -> None:
    async with in_process(database) as service:
        await service.queue()
        await send(service, 3)
    async with in_process(database) as service:
        found = await ask(service.root, "/v1/queues/q/activity")
        assert sum(found["sent"]) == 3


async def test_what_is_taken_back_does_not_count(store: Store) -> None:
    process_counts.take()

    async def fails(_connection: Any) -> None:
        process_counts.sent(1, 1)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await transaction(store.engine, fails)
    assert not process_counts.take()


async def _row(service: Service, at: datetime, **counts: int) -> None:
    names = ("sent", "received", "deleted", "dead_lettered", "growth")
    values = [counts.get(name, 0) for name in names]
    await service.sql.execute(
        f"insert into queue_activity (queue_id, at, {', '.join(names)}, attempts, succeeded) "
        "select id, $1, $2, $3, $4, $5, $6, 0, 0 from queue",
        at,
        *values,
    )


async def test_buckets_hold_what_was_done_in_their_time_and_totals_are_reckoned_backwards(service: Service) -> None:
    await service.queue()
    await send(service, 5)
    await becomes(service, 5, 0, 0, 0, 5, 0)
    await service.sql.execute("delete from queue_activity")
    start = datetime.fromisoformat((await ask(service.root, "/v1/queues/q/activity"))["start"])
    assert (start.second, start.microsecond) == (0, 0)
    await _row(service, start - timedelta(seconds=10), sent=100)
    await _row(service, start + timedelta(minutes=20), sent=4, growth=4)
    await _row(service, start + timedelta(minutes=20, seconds=50), sent=3, growth=3)
    await _row(service, start + timedelta(minutes=30), received=9, deleted=4, dead_lettered=2, growth=-6)
    # As if more had come in than is there now: another process has not written yet what left.
    await _row(service, start + timedelta(minutes=50), sent=8, growth=8)
    found = await ask(service.root, "/v1/queues/q/activity")
    moved = (datetime.fromisoformat(found["start"]) - start) // timedelta(minutes=1)
    sent, total = found["sent"], found["total"]
    assert {minute + moved: count for minute, count in enumerate(sent) if count} == {20: 7, 50: 8}
    assert {minute + moved: count for minute, count in enumerate(found["received"]) if count} == {30: 9}
    assert {minute + moved: count for minute, count in enumerate(found["deleted"]) if count} == {30: 4}
    assert {minute + moved: count for minute, count in enumerate(found["dead_lettered"]) if count} == {30: 2}
    assert total[-1] == total[50 - moved] == 5
    assert total[49 - moved] == total[30 - moved] == 0
    assert total[29 - moved] == total[20 - moved] == 3
    assert min(total) == 0
    for resolution, period in ((10, 3600), (600, 600), (30, 60), (600, 3600)):
        found = await ask(service.root, f"/v1/queues/q/activity?resolution={resolution}&period={period}")
        assert found["resolution"] == resolution
        assert all(len(found[name]) == period // resolution for name in KINDS)
        began = datetime.fromisoformat(found["start"]).timestamp()
        assert began % resolution == 0
        now = (await service.sql.fetchval("select clock_timestamp()")).timestamp()
        assert 0 <= now - began - period + resolution < resolution + 5


async def test_several_queues_are_answered_in_the_order_asked_and_those_that_are_not_there_left_out(
    service: Service,
) -> None:
    for name in ("a", "b", "c"):
        await service.queue(name)
    await send(service, 2, "b")
    await becomes(service, 2, 0, 0, 0, 2, 0, queue="b")
    found = await ask(service.root, "/v1/activity?queue=c&queue=none&queue=b&queue=c&resolution=600")
    assert [item["queue"] for item in found["items"]] == ["c", "b"]
    assert [sum(item["sent"]) for item in found["items"]] == [0, 2]
    assert found["items"][1]["total"][-1] == 2
    assert (found["resolution"], len(found["items"][0]["sent"])) == (600, 6)
    assert (await ask(service.root, "/v1/activity?queue=none"))["items"] == []


async def test_a_project_sees_nothing_of_anothers(service: Service) -> None:
    await service.root.put("/v1/projects/other")
    for_other = {"Restante-Project": "other"}
    await service.root.put("/v1/queues/q", headers=for_other)
    await post(service, "/v1/queues/q/messages", {"body": 1}, headers=for_other)
    await service.queue()
    await becomes(service, 0, 0, 0, 0, 0, 0)
    await service.root.delete("/v1/queues/q")
    assert problem(await service.root.get("/v1/queues/q/activity"))[:2] == (404, "queue_not_found")
    assert (await ask(service.root, "/v1/activity?queue=q"))["items"] == []


async def test_a_key_bound_to_other_queues_is_refused(service: Service) -> None:
    await service.queue("orders-1")
    async with service.client(await service.key("send", queues=["orders-*"])) as client:
        assert (await client.get("/v1/activity?queue=orders-1&queue=orders-2")).status_code == 200
        assert problem(await client.get("/v1/activity?queue=orders-1&queue=q"))[:2] == (403, "forbidden")
        assert problem(await client.get("/v1/queues/q/activity"))[:2] == (403, "forbidden")


@pytest.mark.parametrize(
    "query",
    [
        "resolution=0",
        "resolution=5",
        "resolution=15",
        "resolution=610",
        "resolution=-60",
        "resolution=x",
        "resolution=",
        "resolution=1e9",
        f"resolution={'9' * 5000}",
        "resolution=NaN",
        "period=0",
        "period=50",
        "period=3610",
        "period=7200",
        "resolution=70",
        "resolution=600&period=60",
        "resolution=60&resolution=60.5",
        "other=1",
        "queue=%00",
        "queue=%ff",
        "queue=",
        "queue=a%20b",
        "&".join(["queue=a"] * 101),
        f"queue={'a' * 129}",
    ],
)
async def test_what_cannot_be_answered_is_refused(service: Service, query: str) -> None:
    await service.queue()
    for path in ("/v1/queues/q/activity?", "/v1/activity?queue=q&"):
        status, code, _ = problem(await service.root.get(path + query))
        assert (status, code) == (422, "invalid_request")
    assert (await service.root.get("/v1/activity")).status_code == 422


async def test_rows_that_nobody_can_ask_for_are_removed(service: Service) -> None:
    await service.queue()
    now = await service.sql.fetchval("select date_bin('10 s', clock_timestamp(), '2000-01-01')")
    for minutes in (0, 59, 64, 66, 600):
        await _row(service, now - timedelta(minutes=minutes), sent=1)
    await service.sql.execute(
        "insert into project_activity select project_id, a.at, 0, 0, 0, 0, 0, 0, 0 "
        "from queue_activity as a join queue on queue.id = queue_id"
    )
    assert not await activity.remove_old(store_of(service).engine)
    for table in ("queue", "project"):
        left = await service.sql.fetch(f"select at from {table}_activity order by at desc")
        assert [(now - row["at"]) // timedelta(minutes=1) for row in left] == [0, 59, 64]
