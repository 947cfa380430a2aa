"""A stream hands out leased messages as soon as there are any, and loses none however it ends."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from service.domain import stream as module
from tests.in_process import ROOT_KEY, Service, in_process

pytestmark = pytest.mark.anyio

Q = "/v1/queues/q"


@contextlib.asynccontextmanager
async def streaming(
    service: Service, queue: str = "q", key: str | None = ROOT_KEY, **more: Any
) -> AsyncIterator[ClientConnection]:
    """Open a stream as a client does that can set headers."""
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    url = service.url.replace("http", "ws") + f"/v1/queues/{queue}/stream"
    options: dict[str, Any] = {"subprotocols": ["restante.v1"], "additional_headers": headers, "proxy": None} | more
    async with connect(url, **options) as connection:
        yield connection


async def say(connection: ClientConnection, **frame: Any) -> None:
    await connection.send(json.dumps(frame))


async def hear(connection: ClientConnection, kind: str) -> dict[str, Any]:
    async with asyncio.timeout(10):
        frame: dict[str, Any] = json.loads(await connection.recv())
    assert frame["type"] == kind, frame
    return frame


async def message(connection: ClientConnection) -> dict[str, Any]:
    found: dict[str, Any] = (await hear(connection, "message"))["message"]
    return found


async def ended(connection: ClientConnection) -> int:
    """Return the code with which the service closes."""
    async with asyncio.timeout(10):
        with contextlib.suppress(ConnectionClosed):
            while True:
                await connection.recv()
    assert connection.close_code is not None
    return connection.close_code


async def send(service: Service, *bodies: Any, **fields: Any) -> None:
    for body in bodies:
        await service.root.post(f"{Q}/messages", json={"body": body, **fields})


async def stats(service: Service) -> tuple[int, int]:
    found = (await service.root.get(Q)).json()["stats"]
    return found["ready"], found["leased"]


async def settled(service: Service, ready: int, leased: int) -> None:
    """Return when so many messages are ready and leased."""
    async with asyncio.timeout(10):
        while await stats(service) != (ready, leased):  # noqa: ASYNC110 - it has to be asked
            await asyncio.sleep(0.02)


async def test_messages_come_as_far_as_there_is_credit_and_are_settled(service: Service) -> None:
    await service.queue(visibility_timeout=300)
    await send(service, {"n": 1.10}, "two")
    async with streaming(service) as connection:
        assert connection.subprotocol == "restante.v1"
        await hear(connection, "ready")
        await say(connection, type="credit", n=1)
        first = await message(connection)
        assert (first["body"], first["receive_count"]) == ({"n": 1.1}, 1)
        await say(connection, type="ack", receipt=first["receipt"], ref="a")
        assert await hear(connection, "result") == {"type": "result", "ref": "a", "status": "ok"}
        await say(connection, type="credit", n=5)
        second = await message(connection)
        await say(connection, type="extend", receipt=second["receipt"], visibility_timeout=600, ref=7)
        told = await hear(connection, "result")
        assert (told["ref"], told["status"]) == (7, "ok")
        assert told["lease_expires_at"] > second["lease_expires_at"]
        await say(connection, type="release", receipt=second["receipt"], error="busy")
        frames = [json.loads(await connection.recv()) for _ in range(2)]
        assert {frame["type"] for frame in frames} == {"result", "message"}
        [again] = [frame["message"] for frame in frames if frame["type"] == "message"]
        assert (again["receive_count"], again["last_error"]) == (2, "busy")
        for drop, status in ((False, "no_dead_letter_queue"), (True, "ok")):
            await say(connection, type="reject", receipt=again["receipt"], drop=drop, ref=None)
            assert (await hear(connection, "result"))["status"] == status
    await settled(service, 0, 0)


async def test_a_connection_holds_a_bounded_number_of_messages_and_gets_more_as_it_settles(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_HELD", 3)
    # Renewed and given back in parts.
    monkeypatch.setattr(module, "_PART", 2)
    monkeypatch.setattr(module, "_RENEW_SECONDS", 0.05)
    await service.queue(visibility_timeout=600)
    await send(service, *range(6))
    async with streaming(service) as connection:
        await hear(connection, "ready")
        await say(connection, type="credit", n=10)
        held = [await message(connection) for _ in range(3)]
        await settled(service, 3, 3)
        await say(connection, type="ack", receipt=held[0]["receipt"])
        frames = [json.loads(await connection.recv()) for _ in range(2)]
        assert sorted(frame["type"] for frame in frames) == ["message", "result"]
        await settled(service, 2, 3)
        lease = "select min(visible_at - clock_timestamp()) > interval '28 s' from message where lease is not null"
        async with asyncio.timeout(10):
            while not await service.sql.fetchval(lease):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.05)
    await settled(service, 5, 0)


async def test_a_message_comes_the_moment_it_is_sent_also_from_the_stream_itself(service: Service) -> None:
    await service.queue()
    async with streaming(service) as connection:
        await hear(connection, "ready")
        await say(connection, type="credit", n=10)
        await say(connection, type="send", message={"body": [1], "headers": {"a": "b"}}, ref="s")
        frames = [json.loads(await connection.recv()) for _ in range(2)]
        [result] = [frame for frame in frames if frame["type"] == "result"]
        [came] = [frame["message"] for frame in frames if frame["type"] == "message"]
        assert (result["status"], result["id"], result["duplicate"]) == ("ok", came["id"], False)
        assert (came["body"], came["headers"]) == ([1], {"a": "b"})
        await service.queue("other")
        await say(connection, type="send", message={"body": 2}, queue="other", ref="o")
        assert (await hear(connection, "result"))["status"] == "ok"
    assert (await service.root.get("/v1/queues/other")).json()["stats"]["ready"] == 1


@pytest.mark.parametrize(("code", "count"), [(1000, 1), (1001, 1), (4999, 2), (None, 2)])
async def test_what_was_not_settled_comes_back_at_once_and_counts_unless_the_client_closed(
    service: Service, code: int | None, count: int
) -> None:
    await service.queue(visibility_timeout=3000)
    await send(service, 1)
    async with streaming(service) as connection:
        await hear(connection, "ready")
        await say(connection, type="credit", n=1)
        await message(connection)
        if code is None:
            connection.transport.abort()
        else:
            await connection.close(code)
    await settled(service, 1, 0)
    [again] = (await service.root.post(f"{Q}/messages/receive")).json()["messages"]
    assert again["receive_count"] == count


async def test_a_message_that_kills_its_consumer_reaches_the_dead_letter_queue(service: Service) -> None:
    await service.queue("dead")
    await service.queue(visibility_timeout=3000, dead_letter={"queue": "dead", "max_receives": 2})
    await send(service, 1)
    for _ in range(2):
        async with streaming(service) as connection:
            await hear(connection, "ready")
            await say(connection, type="credit", n=1)
            await message(connection)
            connection.transport.abort()
    async with asyncio.timeout(10):
        while (await service.root.get("/v1/queues/dead")).json()["stats"]["total"] != 1:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.02)


@pytest.mark.alone
async def test_a_delivery_is_held_in_slices_up_to_its_visibility_timeout(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Much longer than it takes to renew one, so that a machine that stands still for a moment costs no lease.
    monkeypatch.setattr(module, "SLICE", timedelta(seconds=2))
    monkeypatch.setattr(module, "_RENEW_SECONDS", 0.2)
    await service.queue(visibility_timeout=5)
    await send(service, 1)
    lease = "select extract(epoch from visible_at - clock_timestamp())::float8 from message where lease is not null"
    async with streaming(service) as connection:
        await hear(connection, "ready")
        began = asyncio.get_running_loop().time()
        await say(connection, type="credit", n=2)
        first = await message(connection)
        assert await service.sql.fetchval(lease) <= 2
        again = await message(connection)
        assert 4.8 < asyncio.get_running_loop().time() - began < 7
        assert (first["id"], again["receive_count"]) == (again["id"], 2)
        await say(connection, type="ack", receipt=first["receipt"], ref=1)
        assert (await hear(connection, "result"))["status"] == "lease_lost"


async def test_a_stream_never_has_more_than_its_credit(service: Service) -> None:
    await service.queue()
    await send(service, *range(5))
    async with streaming(service) as connection:
        await hear(connection, "ready")
        await say(connection, type="credit", n=2)
        assert [(await message(connection))["body"] for _ in range(2)] == [0, 1]
        await say(connection, type="send", message={"body": 9}, ref="after")
        assert (await hear(connection, "result"))["ref"] == "after"
        assert await stats(service) == (4, 2)


async def test_a_fifo_group_comes_in_order_one_holder_at_a_time(service: Service) -> None:
    await service.queue(type="fifo", visibility_timeout=300)
    await send(service, *range(4), group="g")
    async with streaming(service) as connection, streaming(service) as other:
        for each in (connection, other):
            await hear(each, "ready")
        await say(connection, type="credit", n=2)
        held = [await message(connection) for _ in range(2)]
        await say(other, type="credit", n=10)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await other.recv()
        for one in held:
            await say(connection, type="ack", receipt=one["receipt"])
            await hear(connection, "result")
        rest = [await message(other) for _ in range(2)]
    assert [one["body"] for one in held + rest] == [0, 1, 2, 3]


async def test_who_may_open_a_stream(service: Service) -> None:
    await service.queue()
    for key in ("wrong", await service.key("send")):
        if key == "wrong":
            with pytest.raises(InvalidStatus) as refused:
                async with streaming(service, key=key):
                    pass
            assert refused.value.response.status_code == 401
            assert b"unauthenticated" in refused.value.response.body
        else:
            async with streaming(service, key=key) as connection:
                assert await ended(connection) == 4403
    async with streaming(service, "none") as connection:
        assert (await hear(connection, "error"))["problem"]["code"] == "queue_not_found"
        assert await ended(connection) == 4404
    async with streaming(service, key=await service.key("receive", queues=["other"])) as connection:
        assert await ended(connection) == 4403


async def test_a_browser_gives_its_key_as_a_subprotocol_or_in_the_first_frame(service: Service) -> None:
    await service.queue()
    key = await service.key("receive")
    async with streaming(service, key=None, subprotocols=["restante.v1", f"restante.key.{key}"]) as connection:
        assert connection.subprotocol == "restante.v1"
        await hear(connection, "ready")
    async with streaming(service, key=None) as connection:
        await say(connection, type="auth", key=key)
        await hear(connection, "ready")
    await service.root.put("/v1/projects/acme")
    await service.root.put("/v1/queues/theirs", headers={"Restante-Project": "acme"})
    async with streaming(service, "theirs", key=None) as connection:
        await say(connection, type="auth", key=ROOT_KEY, project="acme")
        await hear(connection, "ready")
    frames: list[Any] = [{"type": "auth", "key": "wrong"}, {"type": "credit", "n": 1}, {"type": "auth"}, []]
    for frame in frames:
        async with streaming(service, key=None) as connection:
            await connection.send(json.dumps(frame))
            assert await ended(connection) == 4401


async def test_pages_of_other_origins_may_not_connect_unless_the_operator_says_so(
    service: Service, database: str
) -> None:
    await service.queue()
    for origin, allowed in ((service.url, True), ("https://evil.example", False), ("null", False), ("http://[", False)):
        if allowed:
            async with streaming(service, origin=origin) as connection:
                await hear(connection, "ready")
        else:
            with pytest.raises(InvalidStatus) as refused:
                async with streaming(service, origin=origin):
                    pass
            assert refused.value.response.status_code == 403
    async with in_process(database, allowed_origins="https://app.example, https://other.example/") as other:
        for origin in ("https://app.example", "https://other.example"):
            async with streaming(other, origin=origin) as connection:
                await hear(connection, "ready")


async def test_a_revoked_key_ends_its_streams_within_five_seconds(service: Service) -> None:
    await service.queue()
    made = (await service.root.post("/v1/keys", json={"name": "k", "scopes": ["receive"]})).json()
    async with streaming(service, key=made["secret"]) as connection:
        await hear(connection, "ready")
        await service.root.delete(f"/v1/keys/{made['id']}")
        async with asyncio.timeout(5):
            assert await ended(connection) == 4401


async def test_a_queue_that_is_deleted_ends_its_streams(service: Service) -> None:
    await service.queue()
    async with streaming(service) as connection:
        await hear(connection, "ready")
        await say(connection, type="credit", n=1)
        await say(connection, type="ack", receipt="x", ref=1)
        await hear(connection, "result")
        await service.root.delete(Q)
        assert await ended(connection) == 4404


async def test_a_service_that_ends_says_so_and_leaves_nothing_leased(database: str) -> None:
    async with in_process(database) as service:
        await service.queue(visibility_timeout=3000)
        await send(service, 1, 2)
        async with streaming(service) as connection:
            await hear(connection, "ready")
            await say(connection, type="credit", n=1)
            await message(connection)
            service.app.drain()
            assert await ended(connection) == 1012
    async with in_process(database) as service:
        assert await stats(service) == (2, 0)


async def test_what_a_client_holds_when_the_service_ends_counts_as_a_delivery(service: Service, database: str) -> None:
    await service.queue("dead")
    await service.queue(dead_letter={"queue": "dead", "max_receives": 1})
    await send(service, 1)
    async with in_process(database) as other, streaming(other) as connection:
        await hear(connection, "ready")
        await say(connection, type="credit", n=1)
        await message(connection)
        other.app.drain()
        assert await ended(connection) == 1012
    async with asyncio.timeout(10):
        while not (await service.root.get("/v1/queues/dead")).json()["stats"]["ready"]:  # noqa: ASYNC110 - it has to be asked
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "{",
        "[]",
        "1",
        '{"type":"unknown"}',
        '{"n":1}',
        b"\x00\x01",
        '{"type":"ack","receipt":"x","ref":"' + "r" * 129 + '"}',
    ],
)
async def test_what_is_no_frame_ends_the_connection_and_no_other(service: Service, frame: str | bytes) -> None:
    await service.queue()
    async with streaming(service) as connection, streaming(service) as other:
        for each in (connection, other):
            await hear(each, "ready")
        await connection.send(frame)
        assert (await hear(connection, "error"))["problem"]["status"] in {400, 422}
        assert await ended(connection) == 4400
        await say(other, type="credit", n=1)
        await send(service, "for the other")
        assert (await message(other))["body"] == "for the other"


async def test_a_type_that_no_frame_has_is_told_to_be_none_of_them(service: Service) -> None:
    await service.queue()
    async with streaming(service) as connection:
        await hear(connection, "ready")
        await say(connection, type="zap")
        [error] = (await hear(connection, "error"))["problem"]["errors"]
        assert (error["pointer"], error["code"]) == ("/type", "not_allowed")


@pytest.mark.parametrize("path", ["/v1/queues/q", "/nothing", "/", "/dashboard", "/dashboard/assets/x", "/v1/whoami"])
async def test_a_handshake_where_no_stream_is_is_answered_as_any_request(service: Service, path: str) -> None:
    headers = {"Request-Id": "mine"}
    with pytest.raises(InvalidStatus) as refused:
        async with connect(service.url.replace("http", "ws") + path, additional_headers=headers, proxy=None):
            pass
    answer = refused.value.response
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["request-id"] == "mine"
    problem = json.loads(answer.body)
    assert (problem["code"], problem["request_id"]) == ("not_found", "mine")


async def test_whoever_is_refused_leaves_nothing_in_the_log(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    await service.queue()
    for key, queue in (("wrong", "q"), (None, "q/nothing")):
        with pytest.raises(InvalidStatus):
            async with streaming(service, queue, key):
                pass
    async with streaming(service) as connection:
        await hear(connection, "ready")
    assert not [record for record in caplog.records if record.levelname in {"WARNING", "ERROR"}]


async def test_a_stream_that_is_asked_for_by_plain_http_says_what_it_is(service: Service) -> None:
    answer = await service.root.get(f"{Q}/stream")
    assert (answer.status_code, answer.headers["upgrade"]) == (426, "websocket")
    assert answer.json()["code"] == "upgrade_required"


async def test_a_frame_with_a_wrong_field_is_answered_and_the_stream_goes_on(service: Service) -> None:
    await service.queue()
    await service.queue("other")
    await service.root.post("/v1/queues/other/messages", json={"body": 1})
    [elsewhere] = (await service.root.post("/v1/queues/other/messages/receive")).json()["messages"]
    async with streaming(service) as connection:
        await hear(connection, "ready")
        for frame, status in (
            ({"type": "credit", "n": 0}, "invalid_request"),
            ({"type": "credit", "n": 1001}, "invalid_request"),
            ({"type": "credit", "n": "1"}, "invalid_request"),
            ({"type": "ack", "ref": 1}, "invalid_request"),
            ({"type": "ack", "receipt": "x", "count": True, "ref": 1}, "invalid_request"),
            ({"type": "ack", "receipt": "nonsense", "ref": 1}, "receipt_not_found"),
            ({"type": "ack", "receipt": elsewhere["receipt"], "ref": 1}, "receipt_not_found"),
            ({"type": "extend", "receipt": "x", "visibility_timeout": -1, "ref": 1}, "invalid_request"),
            ({"type": "send", "message": {}, "ref": 1}, "invalid_request"),
            ({"type": "send", "message": {"body": 1}, "queue": "none", "ref": 1}, "queue_not_found"),
            ({"type": "send", "message": {"body": 1}, "queue": "a/b", "ref": 1}, "invalid_request"),
            ({"type": "auth", "key": "again"}, "malformed_request"),
        ):
            await say(connection, **frame)
            told = await hear(connection, "result")
            assert (told["status"], told["ref"]) == (status, frame.get("ref")), frame
            assert told["detail"]
    assert (await service.root.get("/v1/queues/other")).json()["stats"]["leased"] == 1


async def test_a_refused_frame_is_told_which_of_its_fields_is_wrong(service: Service) -> None:
    await service.queue()
    async with streaming(service) as connection:
        await hear(connection, "ready")
        for frame, pointer, code in (
            ({"type": "send", "ref": 1}, "/message", "missing"),
            ({"type": "send", "message": {"body": 1, "delay": -1}}, "/message/delay", "out_of_range"),
            ({"type": "send", "message": {"body": 1}, "queue": "a/b"}, "/queue", "invalid_name"),
            ({"type": "extend", "receipt": "x", "visibility_timeout": "1"}, "/visibility_timeout", "wrong_type"),
            ({"type": "ack", "receipt": "x", "rev": 1}, "/rev", "unknown_field"),
            ({"type": "credit", "n": 0}, "/n", "out_of_range"),
        ):
            await say(connection, **frame)
            told = await hear(connection, "result")
            assert [(error["pointer"], error["code"]) for error in told["errors"]] == [(pointer, code)]
            assert told["detail"] == f"{pointer}: {told['errors'][0]['detail']}"
        await say(connection, type="ack", receipt="nonsense")
        assert "errors" not in await hear(connection, "result")


async def test_a_key_that_may_not_send_cannot_send_through_a_stream(service: Service) -> None:
    await service.queue()
    async with streaming(service, key=await service.key("receive")) as connection:
        await hear(connection, "ready")
        await say(connection, type="send", message={"body": 1}, ref=1)
        assert (await hear(connection, "result"))["status"] == "forbidden"


async def test_ten_thousand_tiny_frames_are_all_answered(service: Service) -> None:
    await service.queue()
    async with streaming(service) as connection:
        await hear(connection, "ready")

        async def talk() -> None:
            for number in range(10_000):
                await say(connection, type="ack", receipt="x", ref=number)

        talking = asyncio.create_task(talk())
        refs = [(await hear(connection, "result"))["ref"] for _ in range(10_000)]
        await talking
    assert sorted(refs) == list(range(10_000))


async def test_a_frame_that_is_too_large_ends_the_connection(service: Service) -> None:
    await service.queue()
    async with streaming(service, max_size=None) as connection:
        await hear(connection, "ready")
        with contextlib.suppress(ConnectionClosed):
            await connection.send("x" * (8 * 1024 * 1024 + 1))
        assert await ended(connection) == 1009


async def test_a_queue_whose_configuration_changes_is_still_the_one_that_was_received_from(service: Service) -> None:
    await service.queue(visibility_timeout=300)
    await send(service, 1)
    async with streaming(service) as connection:
        await hear(connection, "ready")
        await say(connection, type="credit", n=1)
        came = await message(connection)
        await service.root.patch(Q, json={"labels": {"a": "b"}})
        await say(connection, type="ack", receipt=came["receipt"])
        assert (await hear(connection, "result"))["status"] == "ok"
    await settled(service, 0, 0)


async def test_a_client_that_closes_while_it_is_written_to_has_closed(service: Service) -> None:
    await service.queue(visibility_timeout=3000)
    body = "x" * 100_000
    await service.root.post(f"{Q}/messages/batch", json={"messages": [{"body": body}] * 50})
    async with streaming(service, max_queue=1) as connection:
        await hear(connection, "ready")
        await say(connection, type="credit", n=100)
        await message(connection)
        await connection.close(1000)
    await settled(service, 50, 0)
    received = (await service.root.post(f"{Q}/messages/receive", json={"max_messages": 50})).json()["messages"]
    assert {one["receive_count"] for one in received} == {1}


DEEP = "[" * 1000 + "]" * 1000


@pytest.mark.parametrize(
    ("frame", "status"),
    [
        ('{"type":"send","ref":1,"message":{"body":"\\ud800"}}', "ok"),
        ('{"message":{"body":"\\ud800"},"ref":1,"type":"send"}', "ok"),
        ('{"type":"send","ref":1,"message":{"body":{"n":1e400,"a":1.0,"a":2}}}', "ok"),
        ('{"type":"send","ref":1,"message":{"body":1,"priority":3.0}}', "ok"),
        ('{"type":"send","ref":1,"message":{"body":1,"headers":{"a":"\\ud800"}}}', "invalid_request"),
        ('{"type":"send","ref":1,"queue":"\\ud800","message":{"body":1}}', "invalid_request"),
        (f'{{"type":"send","ref":1,"message":{{"body":{DEEP}}}}}', "invalid_request"),
        (f'{{"message":{{"body":{DEEP}}},"type":"send","ref":1}}', "invalid_request"),
        (f'{{"type":"ack","ref":1,"receipt":{DEEP}}}', "invalid_request"),
        (f'{{"type":"publish","ref":1,"topic":"t","message":{{"body":1}},"x":{DEEP}}}', "invalid_request"),
        ('{"type":"release","ref":1,"receipt":"x","delay":1e999}', "invalid_request"),
        ('{"type":"extend","ref":1,"receipt":"\\udfff","visibility_timeout":1}', "invalid_request"),
    ],
    ids=lambda frame: frame[:60],
)
async def test_an_odd_frame_of_a_known_type_is_answered_and_the_session_goes_on(
    service: Service, frame: str, status: str
) -> None:
    await service.queue()
    async with streaming(service) as connection:
        await hear(connection, "ready")
        await connection.send(frame)
        answer = await hear(connection, "result")
        assert (answer["ref"], answer["status"]) == (1, status)
        await say(connection, type="send", message={"body": "after"})
        assert (await hear(connection, "result"))["status"] == "ok"
    stored = [bytes(row["body"]) for row in await service.sql.fetch("select body from message order by id")]
    assert stored[-1] == b'"after"'
    assert len(stored) == (2 if status == "ok" else 1)
    if status == "ok":
        assert stored[0].decode() in frame


async def test_a_message_is_published_over_the_stream(service: Service) -> None:
    await service.queue()
    await service.queue("other")
    await service.root.put("/v1/topics/t")
    for queue in ("q", "other"):
        await service.root.put(f"/v1/topics/t/subscriptions/{queue}", json={"queue": queue})
    async with streaming(service) as connection:
        await hear(connection, "ready")
        once = {"body": {"n": 1}, "deduplication_id": "once"}
        told = []
        for _ in range(2):
            await say(connection, type="publish", topic="t", message=once, ref="p")
            told.append(await hear(connection, "result"))
        published = {"type": "result", "ref": "p", "status": "ok", "id": told[0]["id"]}
        assert told[0] == published | {"duplicate": False, "delivered_to": 2}
        assert told[1] == published | {"duplicate": True, "delivered_to": 0}
        await say(connection, type="credit", n=2)
        assert (await message(connection))["published"] == {"topic": "t", "id": told[0]["id"]}
        for topic, code in (("none", "topic_not_found"), ("a/b", "invalid_request")):
            await say(connection, type="publish", topic=topic, message={"body": 1})
            assert (await hear(connection, "result"))["status"] == code
    key = await service.key("receive", "send", queues=["q"])
    async with streaming(service, key=key) as connection:
        await hear(connection, "ready")
        await say(connection, type="publish", topic="t", message={"body": 1})
        assert (await hear(connection, "result"))["status"] == "forbidden"
