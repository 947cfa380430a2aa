"""Messages reach webhooks, signed, once they are taken never again, and again when they are not."""

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web
from standardwebhooks.webhooks import Webhook as Verifier

from tests.api.resources.test_health import counted
from tests.in_process import Service, in_process
from tests.push.sink import Sink, answers, sink

pytestmark = pytest.mark.anyio

Q = "/v1/queues/q"


async def webhook(service: Service, target: Sink, name: str = "w", **fields: Any) -> dict[str, Any]:
    answer = await service.root.put(f"{Q}/webhooks/{name}", json={"url": target.url + "/hook", **fields})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def send(service: Service, body: Any = 1, **fields: Any) -> str:
    answer = await service.root.post(f"{Q}/messages", json={"body": body, **fields})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def total(service: Service, queue: str = "q") -> int:
    return int((await service.root.get(f"/v1/queues/{queue}")).json()["stats"]["total"])


async def left(service: Service, count: int, queue: str = "q") -> None:
    """Return when so many messages are left."""
    async with asyncio.timeout(20):
        while await total(service, queue) != count:  # noqa: ASYNC110 - the service tells nobody; it has to be asked
            await asyncio.sleep(0.02)


async def looked(service: Service) -> None:
    """Return when the dispatcher has looked twice for something to push, the first time perhaps a little while ago."""
    for _ in range(2):
        looks = service.app._dispatcher.looks
        service.app._store.pushes.set()
        service.app._store.webhooks.set()
        async with asyncio.timeout(15):
            while service.app._dispatcher.looks == looks:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.01)


async def quiet(service: Service) -> None:
    """Return when nothing is in flight any more, and what came of it has been reported."""
    async with asyncio.timeout(20):
        while service.app._dispatcher._in_flight:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)
    await looked(service)


async def shown(service: Service, name: str = "w") -> dict[str, Any]:
    found: dict[str, Any] = (await service.root.get(f"{Q}/webhooks/{name}")).json()
    return found


async def test_a_message_is_posted_signed_and_gone(service: Service) -> None:
    await service.queue()
    async with sink() as target:
        made = await webhook(service, target)
        identity = await send(service, {"order": 17}, headers={"Source": "shop"})
        [posted] = await target.wait_for(1)
        await left(service, 0)
    assert json.loads(posted.body) == {"order": 17}
    assert posted.path == "/hook"
    shown = {
        "content-type": "application/json",
        "webhook-id": identity,
        "restante-queue": "q",
        "restante-attempt": "1",
        "restante-header-source": "shop",
        "accept-encoding": "identity",
    }
    assert {name: posted.headers[name] for name in shown} == shown
    assert Verifier(made["secret"]).verify(posted.body, posted.headers) == {"order": 17}
    assert len(target.posted) == 1


@pytest.mark.alone
async def test_what_is_not_taken_comes_again_by_the_schedule(service: Service) -> None:
    await service.queue()
    async with sink(answers(500, 302, 404, 200)) as target:
        made = await webhook(service, target, retry={"delays": [0.1, 0.2, 0.3], "jitter": 0})
        identity = await send(service)
        posted = await target.wait_for(4)
        await left(service, 0)
    assert [attempt.number for attempt in posted] == [1, 2, 3, 4]
    assert {attempt.headers["webhook-id"] for attempt in posted} == {identity}
    for delay, before, after in zip((0.1, 0.2, 0.3), posted, posted[1:], strict=False):
        assert delay <= after.at - before.at < delay + 0.6
    for attempt in posted:
        Verifier(made["secret"]).verify(attempt.body, attempt.headers)


async def test_after_the_last_attempt_it_is_a_dead_letter(service: Service) -> None:
    await service.queue("dead")
    await service.queue(dead_letter={"queue": "dead", "max_receives": 1})

    async def busy(_posted: Any) -> web.Response:
        return web.Response(status=503, body=b"try\x00 later,\r\n\xff please")

    async with sink(busy) as target:
        await webhook(service, target, retry={"delays": [0.05], "jitter": 0})
        await send(service)
        await left(service, 1, "dead")
    assert len(target.posted) == 2
    [letter] = (await service.root.post("/v1/queues/dead/messages/receive", json={})).json()["messages"]
    block = letter["dead_letter"]
    assert (block["reason"], block["attempts"], block["source_queue"]) == ("push_failed", 2, "q")
    assert block["last_error"] == "answered 503: try later, \ufffd please"


@pytest.mark.parametrize("kind", ["standard", "fifo"])
@pytest.mark.parametrize("fields", [{}, {"on_exhausted": "dead_letter"}, {"on_exhausted": "block"}])
async def test_without_a_dead_letter_queue_it_is_kept_until_a_retry(
    service: Service, kind: str, fields: dict[str, str]
) -> None:
    await service.queue(type=kind)
    async with sink(answers(500)) as target:
        await webhook(service, target, retry={"delays": []}, **fields)
        sent = [await send(service, number) for number in range(2)]
        await target.wait_for(1 if kind == "fifo" else 2)
        await quiet(service)
        found = (await service.root.get(f"{Q}/messages/{sent[0]}")).json()
        assert (found["state"], found["waiting_for"]) == ("delayed", {"reason": "webhook", "detail": "blocked"})
        assert found["last_error"] == "answered 500"
        assert await total(service) == 2
        target.answer = answers(200)
        await service.root.post(f"{Q}/webhooks/w/retry", json={"message_ids": sent})
        await left(service, 0)


async def test_what_is_blocked_is_kept_no_longer_than_the_retention_of_its_queue(service: Service) -> None:
    await service.queue(retention=None)
    async with sink(answers(500)) as target:
        await webhook(service, target, retry={"delays": []})
        await send(service)
        await target.wait_for(1)
        await quiet(service)
        assert await total(service) == 1
        await service.root.patch(Q, json={"retention": 1})
        await left(service, 0)


@pytest.mark.parametrize("kind", ["standard", "fifo"])
@pytest.mark.parametrize("dead_letter", [None, {"queue": "dead", "max_receives": 5}])
async def test_it_is_dropped_and_counted_when_that_is_asked_for(
    service: Service, kind: str, dead_letter: dict[str, Any] | None
) -> None:
    await service.queue("dead", type=kind)
    await service.queue(type=kind, dead_letter=dead_letter)
    before = await counted(service.root, "restante_messages_dropped_total", reason="push_failed")
    async with sink(answers(500)) as target:
        await webhook(service, target, retry={"delays": []}, on_exhausted="drop")
        await send(service, "first", group="a")
        await send(service, "second", group="a")
        await target.wait_for(2)
        await left(service, 0)
    assert await counted(service.root, "restante_messages_dropped_total", reason="push_failed") == before + 2
    assert await total(service, "dead") == 0


async def test_no_more_requests_are_under_way_than_the_webhook_allows(service: Service) -> None:
    await service.queue()

    async def slowly(_posted: Any) -> Any:
        await asyncio.sleep(0.05)
        return await answers(200)(_posted)

    async with sink(slowly) as target:
        await webhook(service, target, max_concurrency=3)
        drafts = {"messages": [{"body": number} for number in range(30)]}
        await service.root.post(f"{Q}/messages/batch", json=drafts)
        await target.wait_for(30)
        await left(service, 0)
    assert target.most_at_once == 3


async def test_a_rate_is_held_over_all_processes(service: Service, database: str) -> None:
    await service.queue()
    async with sink() as target, in_process(database):
        await webhook(service, target, rate_limit=20, max_concurrency=100)
        drafts = {"messages": [{"body": number} for number in range(100)]}
        await service.root.post(f"{Q}/messages/batch", json=drafts)
        posted = await target.wait_for(41)
    # Two seconds, or a little more.
    assert 1.7 <= posted[40].at - posted[0].at < 4


async def test_a_fifo_group_is_posted_in_order_and_holds_up_no_other(service: Service) -> None:
    await service.queue(type="fifo")

    async def answer(posted: Any) -> Any:
        body = json.loads(posted.body)
        return await answers(500 if body == ["a", 0] and posted.number < 3 else 200)(posted)

    async with sink(answer) as target:
        await webhook(service, target, retry={"delays": [0.1, 0.1], "jitter": 0})
        for number in range(3):
            for group in "ab":
                await send(service, [group, number], group=group)
        await target.wait_for(8)
        await left(service, 0)
    bodies = [json.loads(posted.body) for posted in target.posted]
    assert [body for body in bodies if body[0] == "a"] == [["a", 0], ["a", 0], ["a", 0], ["a", 1], ["a", 2]]
    assert [body for body in bodies if body[0] == "b"] == [["b", 0], ["b", 1], ["b", 2]]
    assert bodies.index(["b", 2]) < bodies.index(["a", 1])


async def test_what_an_old_receiver_answers_is_not_held_against_the_new_one(service: Service) -> None:
    await service.queue()
    moved = asyncio.Event()

    async def late(_posted: Any) -> web.Response:
        await moved.wait()
        return web.Response(status=410)

    async with sink(late) as old, sink(answers(200)) as new:
        await webhook(service, old, retry={"delays": [0.01] * 50, "jitter": 0})
        await send(service)
        await old.wait_for(1)
        assert (await service.root.patch(f"{Q}/webhooks/w", json={"url": new.url})).status_code == 200
        moved.set()
        await new.wait_for(1)
        await left(service, 0)
        await looked(service)
    assert (await shown(service))["state"] == "active"


async def test_410_disables_and_keeps_the_messages(service: Service) -> None:
    await service.queue()
    async with sink(answers(410)) as target:
        await webhook(service, target, retry={"delays": [0.01] * 50, "jitter": 0})
        await send(service)
        async with asyncio.timeout(15):
            while (await shown(service))["state"] != "disabled":  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.02)
        await quiet(service)
        seen = len(target.posted)
        await looked(service)
        assert len(target.posted) == seen
    found = await shown(service)
    assert (found["enabled"], found["state_reason"]) == (False, "gone")
    assert await total(service) == 1


@pytest.mark.parametrize("headers", [{}, {"Retry-After": "0"}])
async def test_ten_failures_open_the_circuit_and_waiting_messages_use_up_no_attempts(
    service: Service, headers: dict[str, str]
) -> None:
    await service.queue()
    async with sink(answers(503, headers=headers)) as target:
        await webhook(service, target, retry={"delays": [0.01] * 100, "jitter": 0}, max_concurrency=1)
        await send(service)
        async with asyncio.timeout(20):
            while (await shown(service))["state"] != "circuit_open":  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.02)
        await quiet(service)
        seen = len(target.posted)
        await looked(service)
        assert len(target.posted) == seen
        assert 10 <= seen <= 12
        # The pause is over: the probe is an ordinary attempt, and success closes the circuit.
        target.answer = answers(200)
        await service.sql.execute("update webhook set open_until = clock_timestamp()")
        await left(service, 0)
        async with asyncio.timeout(20):
            while (await shown(service))["state"] != "active":  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.02)
    assert target.posted[-1].number == seen + 1


async def test_while_a_circuit_is_not_closed_again_one_message_at_a_time_is_tried(service: Service) -> None:
    await service.queue()
    may_answer = asyncio.Event()
    may_answer.set()

    async def failing(posted: Any) -> Any:
        await may_answer.wait()
        return await answers(500)(posted)

    async def opened(openings: int) -> None:
        """Return when the circuit is open, so often by now, and nothing is under way that might open it again."""
        async with asyncio.timeout(20):
            while (await shown(service))["state"] != "circuit_open":  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.02)
        await quiet(service)
        assert openings == await service.sql.fetchval("select openings from webhook")

    async with sink(failing) as target:
        await webhook(service, target, retry={"delays": [0.01] * 100, "jitter": 0}, max_concurrency=5)
        for number in range(5):
            await send(service, number)
        for openings in (1, 2):
            await opened(openings)
            seen = len(target.posted)
            # As long as there is no answer to one message, no other is tried.
            may_answer.clear()
            await service.sql.execute("update webhook set open_until = clock_timestamp()")
            await target.wait_for(seen + 1)
            await looked(service)
            assert len(target.posted) == seen + 1
            [waiting, *_] = (await service.root.get(f"{Q}/messages?state=ready")).json()["items"]
            found = (await service.root.get(f"{Q}/messages/{waiting['id']}")).json()
            assert found["waiting_for"]["detail"] == "circuit open"
            may_answer.set()
        await opened(3)
        pause = "extract(epoch from open_until - clock_timestamp())::float8"
        assert 20 < await service.sql.fetchval(f"select {pause} from webhook") <= 40
        target.answer = answers(200)
        await service.sql.execute("update webhook set open_until = clock_timestamp()")
        await left(service, 0)


async def test_a_receiver_that_asks_for_a_pause_is_left_alone(service: Service) -> None:
    await service.queue()

    async def busy(_posted: Any) -> web.Response:
        return web.Response(status=429, headers={"Retry-After": "3600"})

    async with sink(busy) as target:
        await webhook(service, target, retry={"delays": [0.01] * 100, "jitter": 0}, max_concurrency=1)
        await send(service)
        await send(service)
        await target.wait_for(1)
        async with asyncio.timeout(20):
            while (await shown(service))["state"] != "paused":  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.02)
        await quiet(service)
        seen = len(target.posted)
        await looked(service)
        assert len(target.posted) == seen <= 3
    found = await shown(service)
    assert (found["state"], found["state_reason"]) == ("paused", "retry_after")
    assert await total(service) == 2


async def test_when_one_webhooks_circuit_is_open_the_others_take_over(service: Service) -> None:
    await service.queue()
    async with sink() as one, sink() as other:
        await webhook(service, one, "a")
        await webhook(service, other, "b")
        await service.sql.execute(
            "update webhook set open_until = clock_timestamp() + interval '1 hour', openings = 1 where name = 'a'"
        )
        for _ in range(5):
            await send(service)
        await other.wait_for(5)
        await left(service, 0)
    assert one.posted == []


async def test_both_secrets_sign_while_they_overlap(service: Service) -> None:
    await service.queue()
    async with sink() as target:
        made = await webhook(service, target)
        answer = await service.root.post(f"{Q}/webhooks/w/rotate-secret", json={"overlap": 60})
        await send(service)
        [posted] = await target.wait_for(1)
        for secret in (made["secret"], answer.json()["secret"]):
            Verifier(secret).verify(posted.body, posted.headers)
        await service.root.post(f"{Q}/webhooks/w/rotate-secret", json={"overlap": 0})
        await send(service)
        [_, later] = await target.wait_for(2)
    assert len(later.headers["webhook-signature"].split()) == 1


async def test_however_often_a_secret_is_changed_the_newest_few_sign(service: Service) -> None:
    await service.queue()
    async with sink() as target:
        await webhook(service, target)
        told = []
        for _ in range(15):
            answer = await service.root.post(f"{Q}/webhooks/w/rotate-secret", json={"overlap": 604800})
            told.append(answer.json())
        await send(service)
        [posted] = await target.wait_for(1)
    assert [one["signing"] for one in told] == [*range(2, 11), *[10] * 6]
    assert len(posted.headers["webhook-signature"].split()) == 10
    for one in (told[-1], told[-10]):
        Verifier(one["secret"]).verify(posted.body, posted.headers)


async def test_a_webhook_that_is_disabled_edited_or_deleted_with_a_backlog_loses_nothing(service: Service) -> None:
    await service.queue()
    async with sink() as old, sink() as new:
        await webhook(service, old, enabled=False)
        for _ in range(3):
            await send(service)
        await looked(service)
        assert old.posted == []
        changes = {"enabled": True, "url": new.url, "headers": {"X-Key": "secret"}}
        assert (await service.root.patch(f"{Q}/webhooks/w", json=changes)).status_code == 200
        await new.wait_for(3)
        await left(service, 0)
        await service.root.delete(f"{Q}/webhooks/w")
        await send(service)
        await looked(service)
    assert (len(new.posted), new.posted[0].headers["x-key"], old.posted) == (3, "secret", [])
    assert await total(service) == 1


async def test_blocked_messages_hold_their_group_and_stay(service: Service) -> None:
    await service.queue(type="fifo")
    async with sink(answers(500)) as target:
        await webhook(service, target, retry={"delays": []}, on_exhausted="block")
        await send(service, "first", group="a")
        await send(service, "second", group="a")
        await target.wait_for(1)
        await quiet(service)
    assert len(target.posted) == 1
    assert await total(service) == 2
    [group] = (await service.root.get(f"{Q}/groups?blocked=true")).json()["items"]
    assert (group["held_by"]["reason"], group["held_by"]["until"]) == ("webhook", None)


@pytest.mark.parametrize("mode", ["envelope", "cloudevents"])
async def test_other_forms_carry_the_body_as_it_is(service: Service, mode: str) -> None:
    await service.queue()
    async with sink() as target:
        await webhook(service, target, mode=mode)
        identity = await send(service, {"n": 1.10}, headers={"ce-type": "shop.order"})
        octets = await service.root.post(f"{Q}/raw", content=b"\x00\xff", headers={"Content-Type": "image/png"})
        await target.wait_for(2)
    by_id = {posted.headers["webhook-id"]: json.loads(posted.body) for posted in target.posted}
    plain, encoded = by_id[identity], by_id[octets.json()["id"]]
    if mode == "envelope":
        assert (plain["body"], plain["headers"], plain["attempt"]) == ({"n": 1.1}, {"ce-type": "shop.order"}, 1)
        assert (encoded["body_base64"], encoded["content_type"]) == ("AP8=", "image/png")
    else:
        assert (plain["specversion"], plain["type"], plain["source"]) == ("1.0", "shop.order", "/queues/q")
        assert (plain["data"], plain["id"]) == ({"n": 1.1}, identity)
        assert (encoded["data_base64"], encoded["datacontenttype"]) == ("AP8=", "image/png")
        assert encoded["type"] == "restante.message"


async def test_a_test_message_is_signed_posted_once_and_tells_what_came_of_it(service: Service) -> None:
    await service.queue()
    async with sink(answers(500)) as target:
        made = await webhook(service, target, enabled=False)
        answer = await service.root.post(f"{Q}/webhooks/w/test")
        assert answer.status_code == 200, answer.text
        [posted] = target.posted
    told = answer.json()
    assert (told["outcome"], told["status"], told["number"]) == ("failed", 500, 1)
    assert told["message_id"] == posted.headers["webhook-id"]
    verified = Verifier(made["secret"]).verify(posted.body, posted.headers)
    assert verified == {"type": "restante.test", "queue": "q", "webhook": "w"}
    assert await total(service) == 0


async def test_pull_and_push_share_one_ledger(service: Service) -> None:
    await service.queue()
    await send(service, "pulled")
    [message] = (await service.root.post(f"{Q}/messages/receive", json={"visibility_timeout": 3000})).json()["messages"]
    async with sink() as target:
        await webhook(service, target)
        await looked(service)
        assert target.posted == []
        await service.sql.execute("update message set visible_at = clock_timestamp()")
        [posted] = await target.wait_for(1)
        await left(service, 0)
    assert posted.headers["webhook-id"] == message["id"]
    gone = await service.root.delete(f"/v1/receipts/{message['receipt']}")
    assert gone.json()["code"] == "lease_lost"


async def test_what_cannot_be_finished_at_the_end_of_a_process_is_given_back_uncounted(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.push.dispatcher._FINISH_SECONDS", 0.1)
    over = asyncio.Event()

    async def slowly(_posted: Any) -> web.Response:
        await over.wait()
        return web.Response(status=200)

    async with sink(slowly) as target:
        async with in_process(database) as service:
            await service.queue()
            await webhook(service, target, timeout=30)
            identity = await send(service)
            await target.wait_for(1)
        over.set()
        async with in_process(database) as service:
            kept = (await service.root.get(f"{Q}/messages/{identity}")).json()
            # As long as the receiver may still be at it, nobody else gets it.
            assert (kept["state"], kept["attempts"], kept["waiting_for"]["reason"]) == ("delayed", 0, "delay")
            [attempt] = (await service.root.get(f"{Q}/webhooks/w/attempts")).json()["items"]
            assert (attempt["error"], attempt["outcome"]) == ("interrupted", "failed")
            await service.root.post(f"{Q}/messages/actions", json={"action": "release_delay"})
            await target.wait_for(2)
            await left(service, 0)
    assert [posted.number for posted in target.posted] == [1, 1]


async def test_what_is_in_flight_at_the_end_of_a_process_is_finished(database: str) -> None:
    going = asyncio.Event()

    async def slowly(_posted: Any) -> web.Response:
        going.set()
        await asyncio.sleep(0.5)
        return web.Response(status=200)

    async with sink(slowly) as target:
        async with in_process(database) as service:
            await service.queue()
            await webhook(service, target)
            await send(service)
            async with asyncio.timeout(15):
                await going.wait()
        async with in_process(database) as service:
            assert await total(service) == 0
    assert len(target.posted) == 1
