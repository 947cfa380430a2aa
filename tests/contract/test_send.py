"""Sending: what is acknowledged is stored, byte for byte, wholly or not at all; bad input costs its sender an error."""

import asyncio
import hashlib
import json
import time
from base64 import b64decode, b64encode
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.contract.conftest import Queue

pytestmark = pytest.mark.anyio

JSON = {"Content-Type": "application/json"}
UNUSUAL = [
    b'{"b":1,  "a":1.0, "a":2, "n":12345678901234567890.10, "e":1e400}',
    b'"\\u0000"',
    b'"\\ud83d"',
    b'{"\\udc00": ["\\ud800", {"body": "\\udfff"}]}',
    b'"' + "\u007f\ufffe\uffff\U0001f600".encode() + b'"',
    b"-0.0e-0",
    b"null",
    b'" \\u2028\\/ "',
    b"1" * 5000,
    b"[" * 890 + b"]" * 890,
    '"Zeichen äöü ñ 漢字"'.encode(),
    b"[1 ,\t2 ,\r\n3 ]",
]


async def _post(queue: Queue, path: str, content: bytes, **headers: str) -> httpx.Response:
    return await queue.http.post(f"{queue.path}/{path}", content=content, headers=headers)


async def _body_as_received(queue: Queue) -> bytes:
    """Return the octets of the one message's body as they stand in the answer."""
    answer = await queue.http.post(f"{queue.path}/messages/receive")
    return answer.content.partition(b'"body":')[2].removesuffix(b"}]}")


@pytest.mark.parametrize("body", UNUSUAL, ids=lambda body: body[:20].decode("utf-8", "replace"))
async def test_a_json_body_comes_back_byte_for_byte(queue: Queue, body: bytes) -> None:
    assert (await _post(queue, "messages", b'{"delay":0, "body" : ' + body + b' , "headers":{}}')).status_code == 201
    assert await _body_as_received(queue) == body


@pytest.mark.parametrize("body", UNUSUAL, ids=lambda body: body[:20].decode("utf-8", "replace"))
async def test_raw_json_is_received_as_body_byte_for_byte(queue: Queue, body: bytes) -> None:
    kind = "application/vnd.shop+json; charset=utf-8"
    assert (await _post(queue, "raw", body, **{"Content-Type": kind})).status_code == 201
    answer = await queue.http.post(f"{queue.path}/messages/receive")
    assert answer.content.partition(b'"body":')[2].removesuffix(b"}]}") == body
    assert f'"content_type":"{kind}"'.encode() in answer.content


@pytest.mark.parametrize("octets", [b"", b"a\x00b\xff", bytes(range(256)), b"\xff\xfe", b'{"not json', b"\x1f\x8b\x08"])
async def test_octets_come_back_as_they_were_sent(queue: Queue, octets: bytes) -> None:
    await _post(queue, "raw", octets, **{"Content-Type": "application/json" if octets else "text/x"})
    await _post(queue, "messages", json.dumps({"body_base64": b64encode(octets).decode()}).encode())
    raw, encoded = await queue.receive(max_messages=2)
    assert hashlib.sha256(b64decode(raw["body_base64"])).digest() == hashlib.sha256(octets).digest()
    assert b64decode(encoded["body_base64"]) == octets
    assert encoded["content_type"] == "application/octet-stream"
    assert "body" not in raw
    assert "body" not in encoded


async def test_raw_takes_what_belongs_to_the_message_from_headers(queue: Queue) -> None:
    headers: dict[str, Any] = {
        "Content-Type": "text/plain",
        "Restante-Delay": "5",
        "Restante-Ttl": "60",
        "Restante-Header-Source": "Grüße".encode(),
    }
    answer = await queue.http.post(f"{queue.path}/raw", content=b"x", headers=headers)
    assert answer.status_code == 201, answer.text
    assert await queue.receive() == []
    await queue.pass_time(5)
    message = await queue.receive_one()
    assert message["headers"] == {"source": "Grüße"}
    assert message["content_type"] == "text/plain"


@pytest.mark.parametrize("kind", ["pdf", "text/plain; name=\u00fc", "a/b/c", "x" * 256, "application/json+"])
async def test_raw_keeps_whatever_its_sender_calls_it(queue: Queue, kind: str) -> None:
    headers = {b"Content-Type": kind.encode("latin-1")}
    assert (await queue.http.post(f"{queue.path}/raw", content=b"x", headers=headers)).status_code == 201
    assert (await queue.receive_one())["content_type"] == kind


async def test_json_is_read_whatever_the_content_type_says(queue: Queue) -> None:
    answer = await _post(queue, "messages", b'{"body":1}', **{"Content-Type": "application/x-www-form-urlencoded"})
    assert answer.status_code == 201


async def test_a_field_given_twice_counts_as_its_last_value(queue: Queue) -> None:
    assert (await _post(queue, "messages", b'{"body":1,"body":2}')).status_code == 201
    assert (await queue.receive_one())["body"] == 2


async def test_null_stands_for_an_absent_field(queue: Queue) -> None:
    await queue.send(1, delay=None, ttl=None, headers=None, content_type=None, body_base64=None, deliver_at=None)
    assert (await queue.receive_one())["body"] == 1


async def test_a_message_keeps_the_trace_that_it_was_sent_with(queue: Queue) -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    await queue.http.post(
        f"{queue.path}/messages", json={"body": 1}, headers={"traceparent": parent, "tracestate": "a=b"}
    )
    await queue.http.post(f"{queue.path}/messages", json={"body": 2}, headers={"traceparent": "rubbish"})
    traced, plain = await queue.receive(max_messages=2)
    assert (traced["traceparent"], traced["tracestate"]) == (parent, "a=b")
    assert "traceparent" not in plain


async def test_a_batch_is_stored_in_order_and_answers_in_order(queue: Queue) -> None:
    batch = {"messages": [{"body": number, "delay": 0 if number % 2 else None} for number in range(1000)]}
    answer = await queue.http.post(f"{queue.path}/messages/batch", json=batch)
    sent = [message["id"] for message in answer.json()["messages"]]
    received = []
    while messages := await queue.receive(max_messages=100):
        received += messages
    assert [message["id"] for message in received] == sent
    assert [message["body"] for message in received] == list(range(1000))


@pytest.mark.parametrize(
    ("member", "status", "pointer"),
    [
        ({"body": 1, "delay": -1}, 422, "/messages/1/delay"),
        ({"body": 1, "bidy": 1}, 422, "/messages/1/bidy"),
        ({"body": 1, "headers": {"a b": "c"}}, 422, "/messages/1/headers"),
        ({}, 422, "/messages/1/body"),
        ({"body": "x" * 2000}, 413, "/messages/1"),
        (7, 422, "/messages/1"),
    ],
)
async def test_one_invalid_member_and_nothing_of_the_batch_is_stored(
    queue: Queue, member: Any, status: int, pointer: str
) -> None:
    await queue.configure(max_message_bytes=1024)
    batch = {"messages": [{"body": "x" * 500}, member, {"body": 3}]}
    answer = await queue.http.post(f"{queue.path}/messages/batch", json=batch)
    assert answer.status_code == status
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert (await queue.stats())["total"] == 0


@pytest.mark.parametrize("members", [0, 1001])
async def test_a_batch_of_another_size_than_1_to_1000_is_refused_with_the_limit(queue: Queue, members: int) -> None:
    batch = {"messages": [{"body": 1}] * members}
    answer = await queue.http.post(f"{queue.path}/messages/batch", json=batch)
    assert answer.status_code == 422
    assert "1 to 1000" in answer.json()["detail"]


MALFORMED = [
    b"",
    b"  ",
    b"{",
    b'{"body":NaN}',
    b'{"body":Infinity}',
    b'{"body":01}',
    b'{"body":1} 2',
    b'{"body":[1,]}',
    b"{'body':1}",
    b'\xef\xbb\xbf{"body":1}',
    '{"body":1}'.encode("utf-16"),
    b'{"body":"\xff"}',
    b'{"body":"\xed\xa0\x80"}',
    b'{"body":"a\x00b"}',
    b'{"body":"\\x"}',
    b'{"body":"\\ud800" "x"}',
]
INVALID = {
    b"[]": "",
    b'"\\ud800"': "",
    b"{}": "/body",
    b'{"body":1,"body_base64":""}': "/body_base64",
    b'{"body_base64":"a"}': "/body_base64",
    b'{"body_base64":"====", "headers":{}}': "/body_base64",
    b'{"body":1,"unknown":1}': "/unknown",
    b'{"body":1,"delay":"1"}': "/delay",
    b'{"body":1,"delay":true}': "/delay",
    b'{"body":1,"delay":31536001}': "/delay",
    b'{"body":1,"delay":9223372036854775808}': "/delay",
    b'{"body":1,"delay":1e308}': "/delay",
    b'{"body":1,"delay":1e400}': "/delay",
    b'{"body":1,"ttl":0}': "/ttl",
    b'{"body":1,"ttl":31536001}': "/ttl",
    b'{"body":1,"deliver_at":"2026-11-25T08:00:00"}': "/deliver_at",
    b'{"body":1,"deliver_at":"9999-12-31T23:59:59Z"}': "/deliver_at",
    b'{"body":1,"deliver_at":"9999-12-31T23:59:59-14:00"}': "/deliver_at",
    b'{"body":1,"deliver_at":"0001-01-01T00:00:00+14:00","delay":1}': "/deliver_at",
    b'{"body":1,"deliver_at":17}': "/deliver_at",
    b'{"body":1,"content_type":"text/plain"}': "/content_type",
    b'{"body":1,"content_type":"application/json\\r\\nX: y"}': "/content_type",
    b'{"body":1,"headers":{"":"x"}}': "/headers",
    b'{"body":1,"headers":{"x":"a\\u0000b"}}': "/headers/x",
    b'{"body":1,"headers":{"x":"a\\r\\nb"}}': "/headers/x",
    b'{"body":1,"headers":{"x":"\\ud800"}}': "",
    b'{"body":1,"headers":{"x":1}}': "/headers",
    b'{"body":1,"headers":[]}': "/headers",
    b'{"body":' + b"[" * 1000 + b"]" * 1000 + b"}": "",
    b'{"body":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}": "",
}


def _label(request: bytes) -> str:
    return request[:40].decode("utf-8", "replace").replace("\x00", "0")


@pytest.mark.parametrize("request_body", MALFORMED, ids=_label)
async def test_what_is_not_json_is_malformed_and_stores_nothing(queue: Queue, request_body: bytes) -> None:
    answer = await _post(queue, "messages", request_body)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_request")
    assert (await queue.stats())["total"] == 0


@pytest.mark.parametrize("request_body", INVALID, ids=_label)
async def test_what_is_json_but_no_message_is_invalid_and_the_field_is_named(queue: Queue, request_body: bytes) -> None:
    # Of this process, in which the service runs: what it costs, whatever else the machine does.
    started = time.process_time()
    answer = await _post(queue, "messages", request_body)
    assert time.process_time() - started < 2
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    pointer = INVALID[request_body]
    assert answer.json()["errors"][0]["pointer"].startswith(pointer)
    assert (await queue.stats())["total"] == 0


async def test_sixty_four_headers_are_taken_and_no_more(queue: Queue) -> None:
    await queue.send(1, headers={f"h{number}": "x" for number in range(64)})
    answer = await queue.http.post(
        f"{queue.path}/messages", json={"body": 1, "headers": {f"h{number}": "x" for number in range(65)}}
    )
    assert answer.status_code == 422


async def test_body_and_headers_together_may_be_as_large_as_the_queue_says(queue: Queue) -> None:
    await queue.configure(max_message_bytes=1000)
    await queue.send("x" * 988, headers={"abcde": "fghij"})
    answer = await queue.http.post(f"{queue.path}/messages", json={"body": "x" * 989, "headers": {"abcde": "fghij"}})
    assert (answer.status_code, answer.json()["code"]) == (413, "payload_too_large")
    assert "1001" in answer.json()["detail"]
    assert "1000" in answer.json()["detail"]


async def test_a_request_over_eight_mebibytes_is_answered_at_once_and_the_answer_arrives(
    queue: Queue, request: pytest.FixtureRequest
) -> None:
    if "bare-uvicorn" in request.node.name:
        pytest.skip("uvicorn's own protocol closes the connection before the client has read the answer")

    async def endless() -> Any:
        for _ in range(200):
            yield b"x" * 65536

    for content in (b"x" * (9 * 1024 * 1024), endless()):
        answer = await queue.http.post(f"{queue.path}/raw", content=content)
        assert (answer.status_code, answer.json()["code"]) == (413, "payload_too_large")
    await queue.send("the service goes on")


async def test_a_body_that_does_not_arrive_in_time_is_answered_and_ends_its_connection(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.api.http.body.READ_SECONDS", 0.1)
    url = urlsplit(str(queue.http.base_url))
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    head = f"POST {queue.path}/raw HTTP/1.1\r\nHost: x\r\nAuthorization: {queue.http.headers['Authorization']}\r\n"
    writer.write(f"{head}Content-Length: 10\r\n\r\nshort".encode())
    async with asyncio.timeout(15):
        answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"did not arrive" in answer


async def test_a_compressed_body_is_refused_and_an_identical_one_is_not(queue: Queue) -> None:
    gzipped = await _post(queue, "messages", b"\x1f\x8b\x08", **{"Content-Encoding": "gzip"})
    assert (gzipped.status_code, gzipped.json()["code"]) == (415, "unsupported_media_type")
    assert (await _post(queue, "messages", b'{"body":1}', **{"Content-Encoding": "identity"})).status_code == 201


async def test_an_unknown_restante_header_is_refused_rather_than_ignored(queue: Queue) -> None:
    answer = await _post(queue, "raw", b"x", **{"Restante-Dealy": "5"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/header/restante-dealy"


@pytest.mark.parametrize("value", ["-1", "1e3", "abc", "31536001", "\u0663"])
async def test_a_delay_header_out_of_bounds_is_refused(queue: Queue, value: str) -> None:
    answer = await queue.http.post(f"{queue.path}/raw", content=b"x", headers={b"Restante-Delay": value.encode()})
    assert answer.status_code == 422


@pytest.mark.parametrize(
    "name", ["..", "%2e%2e", "a%2Fb", "a%20b", "%00", "x" * 129, "x" * 300, ".hidden", "q%0d%0a", "ä"]
)
async def test_what_is_no_name_is_refused_and_reaches_no_other_operation(queue: Queue, name: str) -> None:
    for operation in ("messages", "messages/batch", "messages/receive", "raw"):
        answer = await queue.http.post(f"/v1/queues/{name}/{operation}", content=b'{"body":1}')
        assert answer.status_code in {404, 405, 422}, (operation, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
    assert (await queue.stats())["total"] == 0


async def test_a_queue_that_is_not_there_is_named_with_how_to_make_it(queue: Queue) -> None:
    answer = await queue.http.post("/v1/queues/nowhere/messages", json={"body": 1})
    assert (answer.status_code, answer.json()["code"]) == (404, "queue_not_found")
    assert "PUT /v1/queues/nowhere" in answer.json()["detail"]


async def test_max_length_is_exact_when_many_send_at_once(queue: Queue) -> None:
    await queue.configure(max_length=25)
    answers = await asyncio.gather(
        *[queue.http.post(f"{queue.path}/messages", json={"body": number}) for number in range(60)]
    )
    statuses = [answer.status_code for answer in answers]
    assert (statuses.count(201), statuses.count(429)) == (25, 35)
    full = next(answer for answer in answers if answer.status_code == 429)
    assert full.json()["code"] == "queue_full"
    assert int(full.headers["retry-after"]) >= 1
    [message] = await queue.receive()
    await queue.settle(message["receipt"], "delete")
    await queue.send("there is room again")


async def test_every_answer_has_the_requests_id_or_a_fresh_one(queue: Queue) -> None:
    given = await queue.http.post(f"{queue.path}/messages", json={"body": 1}, headers={"Request-Id": "mine-1"})
    assert given.headers["request-id"] == "mine-1"
    fresh = [await queue.http.post(f"{queue.path}/messages", json={}, headers={"Request-Id": "no\tgood"}) for _ in "12"]
    assert len({answer.headers["request-id"] for answer in fresh}) == 2
    assert fresh[0].json()["request_id"] == fresh[0].headers["request-id"]
