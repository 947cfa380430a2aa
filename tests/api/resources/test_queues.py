"""Queues over HTTP."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.in_process import Service, in_process, messages

pytestmark = pytest.mark.anyio

DEFAULTS = {
    "type": "standard",
    "visibility_timeout": 30,
    "delay": 0,
    "retention": 345600,
    "max_message_bytes": 262144,
    "max_length": None,
    "deduplication_window": 300,
    "deduplicate_by_content": False,
    "dead_letter": None,
    "paused": False,
    "labels": {},
}
EMPTY = {"ready": 0, "delayed": 0, "leased": 0, "total": 0, "oldest_ready_age": None, "approximate": False}


def configuration(answer: httpx.Response) -> dict[str, Any]:
    return {name: value for name, value in answer.json().items() if name in DEFAULTS}


def problem(answer: httpx.Response) -> tuple[int, str, list[tuple[str, str]]]:
    """Return status, code, and pointer and code of every wrong field."""
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document["status"] == answer.status_code
    assert document["request_id"] == answer.headers["request-id"]
    assert document["type"] == f"/docs/problems#{document['code']}"
    return answer.status_code, document["code"], [(e["pointer"], e["code"]) for e in document.get("errors", [])]


async def test_a_queue_is_created_with_the_defaults_of_the_contract(service: Service) -> None:
    answer = await service.root.put("/v1/queues/orders")
    assert answer.status_code == 201
    assert configuration(answer) == DEFAULTS
    assert answer.json()["name"] == "orders"
    assert answer.json()["stats"] == EMPTY
    assert answer.json()["created_at"] == answer.json()["updated_at"]
    assert (await service.root.get("/v1/queues/orders")).json() == answer.json()


async def test_put_is_the_whole_configuration_and_a_repeat_changes_nothing(service: Service) -> None:
    wanted = DEFAULTS | {
        "visibility_timeout": 0.5,
        "delay": 3,
        "retention": None,
        "max_length": 7,
        "labels": {"a": "b"},
    }
    first = await service.root.put("/v1/queues/q", json=wanted)
    assert first.status_code == 201
    assert configuration(first) == wanted
    again = await service.root.put("/v1/queues/q", json=wanted)
    assert again.status_code == 200
    assert again.json() == first.json()
    assert again.headers["etag"] == first.headers["etag"]
    assert await service.sql.fetchval("select version from queue") == 1
    bare = await service.root.put("/v1/queues/q", json={})
    assert bare.status_code == 200
    assert configuration(bare) == DEFAULTS
    assert bare.json()["created_at"] == first.json()["created_at"] < bare.json()["updated_at"]
    assert await service.sql.fetchval("select version from queue") == 2


async def test_patch_replaces_what_is_given_and_null_sets_the_default(service: Service) -> None:
    await service.queue(delay=5, retention=None, labels={"a": "b"}, paused=True)
    answer = await service.root.patch("/v1/queues/q", json={"delay": None, "retention": None, "max_length": 3})
    assert answer.status_code == 200
    assert configuration(answer) == DEFAULTS | {"labels": {"a": "b"}, "paused": True, "max_length": 3}


async def test_durations_are_whole_when_whole_and_rounded_to_the_millisecond(service: Service) -> None:
    answer = await service.root.put(
        "/v1/queues/q", json={"delay": 30.0, "visibility_timeout": 0.1 + 0.2, "retention": 1.0004}
    )
    assert '"delay":30,' in answer.text
    assert '"visibility_timeout":0.3,' in answer.text
    assert '"retention":1,' in answer.text


@pytest.mark.parametrize(
    ("fields", "pointer", "code"),
    [
        ({"visibility_timeout": -1}, "/visibility_timeout", "out_of_range"),
        ({"visibility_timeout": 604801}, "/visibility_timeout", "out_of_range"),
        ({"visibility_timeout": "30"}, "/visibility_timeout", "wrong_type"),
        ({"visibility_timeout": True}, "/visibility_timeout", "wrong_type"),
        ({"visibility_timeout": None}, "/visibility_timeout", "wrong_type"),
        ({"delay": 31536001}, "/delay", "out_of_range"),
        ({"delay": 2**63}, "/delay", "out_of_range"),
        ({"retention": 0.9}, "/retention", "out_of_range"),
        ({"retention": 31536001}, "/retention", "out_of_range"),
        ({"max_message_bytes": 0}, "/max_message_bytes", "out_of_range"),
        ({"max_message_bytes": 1048577}, "/max_message_bytes", "out_of_range"),
        ({"max_message_bytes": 10**30}, "/max_message_bytes", "out_of_range"),
        ({"max_message_bytes": 1.5}, "/max_message_bytes", "wrong_type"),
        ({"max_length": 0}, "/max_length", "out_of_range"),
        ({"max_length": 2**63}, "/max_length", "out_of_range"),
        ({"paused": 1}, "/paused", "wrong_type"),
        ({"labels": []}, "/labels", "wrong_type"),
        ({"labels": {"a": 1}}, "/labels/a", "wrong_type"),
        ({"labels": {"": "x"}}, "/labels", "wrong_form"),
        ({"labels": {"a:b": "x"}}, "/labels", "wrong_form"),
        ({"labels": {"k" * 65: "x"}}, "/labels", "wrong_form"),
        ({"labels": {"k": "v" * 257}}, "/labels", "wrong_form"),
        ({"labels": {"k": "a\x00b"}}, "/labels", "wrong_form"),
        ({"labels": {f"k{n}": "" for n in range(51)}}, "/labels", "out_of_range"),
        ({"type": "lifo"}, "/type", "not_allowed"),
        ({"type": None}, "/type", "not_allowed"),
        ({"visibility_timout": 3}, "/visibility_timout", "unknown_field"),
        ({"deduplication_window": 86401}, "/deduplication_window", "out_of_range"),
        ({"deduplicate_by_content": 1}, "/deduplicate_by_content", "wrong_type"),
        ({"dead_letter": {"queue": "d"}}, "/dead_letter/max_receives", "missing"),
        ({"dead_letter": {"max_receives": 3}}, "/dead_letter/queue", "missing"),
        ({"dead_letter": {"queue": "d", "max_receives": 0}}, "/dead_letter/max_receives", "out_of_range"),
        ({"dead_letter": {"queue": "d", "max_receives": 1001}}, "/dead_letter/max_receives", "out_of_range"),
        ({"dead_letter": {"queue": "../d", "max_receives": 3}}, "/dead_letter/queue", "wrong_form"),
        ({"dead_letter": {"queue": "d", "max_receives": 3, "to": "x"}}, "/dead_letter/to", "unknown_field"),
        ({"dead_letter": {"queue": "d", "max_receives": 3}}, "/dead_letter/queue", "queue_not_found"),
        ({"dead_letter": {"queue": "q", "max_receives": 3}}, "/dead_letter/queue", "cycle"),
        ({"name": "q"}, "/name", "unknown_field"),
        ({"a/b~c": 1}, "/a~1b~0c", "unknown_field"),
    ],
)
async def test_a_wrong_field_is_named_and_nothing_is_stored(
    service: Service, fields: dict[str, Any], pointer: str, code: str
) -> None:
    assert problem(await service.root.put("/v1/queues/q", json=fields)) == (422, "invalid_request", [(pointer, code)])
    assert (await service.root.get("/v1/queues/q")).status_code == 404


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "malformed_request"),
        (b"not json", 400, "malformed_request"),
        (b'{"delay":NaN}', 400, "malformed_request"),
        (b'{"delay":Infinity}', 400, "malformed_request"),
        (b'{"delay":1} {}', 400, "malformed_request"),
        (b'\xef\xbb\xbf{"delay":1}', 400, "malformed_request"),
        ('{"delay":1}'.encode("utf-16"), 400, "malformed_request"),
        ('{"delay":1}'.encode("utf-16-le"), 400, "malformed_request"),
        (b'{"labels":{"a":"\xff"}}', 400, "malformed_request"),
        (b'{"labels":{"a":"\xed\xa0\x80"}}', 400, "malformed_request"),
        (b'{"labels":{"a":"\\ud800"}}', 422, "invalid_request"),
        (b'{"labels":{"\\udfff":""}}', 422, "invalid_request"),
        (b'{"\\ud800":1}', 422, "invalid_request"),
        (b'{"delay":1e400}', 422, "invalid_request"),
        (b'{"delay":' + b"9" * 5000 + b"}", 422, "invalid_request"),
        (b'{"max_length":' + b"9" * 5000 + b"}", 422, "invalid_request"),
        (b'{"labels":' + b"[" * 1000 + b"]" * 1000 + b"}", 422, "invalid_request"),
        (b"[" * 100_000, 422, "invalid_request"),
        (b"[]", 422, "invalid_request"),
        (b'"text"', 422, "invalid_request"),
    ],
)
async def test_what_is_no_json_object_is_refused(service: Service, body: bytes, status: int, code: str) -> None:
    assert problem(await service.root.put("/v1/queues/q", content=body))[:2] == (status, code)
    assert (await service.root.get("/v1/queues/q")).status_code == 404


@pytest.mark.parametrize(
    "content_type", ["application/x-www-form-urlencoded", "text/plain", "nonsense", "multipart/form-data"]
)
async def test_json_is_read_whatever_content_type_says(service: Service, content_type: str) -> None:
    answer = await service.root.put(
        "/v1/queues/q", content=b'{"delay":1,"delay":2}', headers={"Content-Type": content_type}
    )
    assert (answer.status_code, answer.json()["delay"]) == (201, 2)


@pytest.mark.parametrize(
    "name",
    [
        "a b",
        "..",
        "%2e%2e",
        ".hidden",
        "-x",
        "n" * 129,
        "n" * 300,
        "q%00",
        "q%0a",
        "q%ff",
        "%C3%BC",
        "%F0%9F%93%AB",
        "a%3Fb",
        "%20",
    ],
)
async def test_a_name_that_is_none_is_refused(service: Service, name: str) -> None:
    url = httpx.URL(service.url).copy_with(raw_path=b"/v1/queues/" + name.replace(" ", "%20").encode())
    for method in ("PUT", "GET", "DELETE"):
        answer = await service.root.request(method, url)
        assert problem(answer) in (
            (422, "invalid_request", [("/path/queue", "invalid_name")]),
            (404, "not_found", []),
        )
    assert await service.sql.fetchval("select count(*) from queue") == 0


async def test_an_encoded_slash_leads_to_no_other_operation(service: Service) -> None:
    await service.queue()
    for path in (b"/v1/queues/q%2fpurge", b"/v1/queues/q%2Fmessages%2Freceive", b"/v1/queues%2Fq"):
        url = httpx.URL(service.url).copy_with(raw_path=path)
        for method in ("PUT", "GET", "POST", "DELETE"):
            assert problem(await service.root.request(method, url))[0] == 422
    assert (await service.root.get("/v1/queues/q")).status_code == 200


@pytest.mark.parametrize("name", ["q", "Q", "0", "a" * 63, "a" * 63 + "b", "a" * 128, "x.y_z~-", "purge", "stats"])
async def test_every_name_of_the_contract_works(service: Service, name: str) -> None:
    assert (await service.root.put(f"/v1/queues/{name}")).status_code == 201
    assert (await service.root.get(f"/v1/queues/{name}")).json()["name"] == name
    assert (await service.root.post(f"/v1/queues/{name}/purge")).json() == {"purged": 0}
    assert (await service.root.delete(f"/v1/queues/{name}")).status_code == 204


async def test_two_puts_at_once_make_one_queue(service: Service) -> None:
    for name in ("a", "b", "c", "d"):
        answers = await asyncio.gather(*(service.root.put(f"/v1/queues/{name}", json={"delay": n}) for n in range(6)))
        assert sorted(answer.status_code for answer in answers) == [200] * 5 + [201]
    assert await service.sql.fetchval("select count(*) from queue") == 4


async def test_the_type_cannot_be_changed(service: Service) -> None:
    await service.queue()
    for method in ("PUT", "PATCH"):
        answer = await service.root.request(method, "/v1/queues/q", json={"type": "fifo"})
        assert problem(answer)[:2] == (409, "conflict")


async def test_if_match_lets_nobody_overwrite_what_they_have_not_seen(service: Service) -> None:
    first = (await service.root.put("/v1/queues/q")).headers["etag"]
    second = (await service.root.patch("/v1/queues/q", json={"delay": 1}, headers={"If-Match": first})).headers["etag"]
    assert first != second
    for method, body in (("PATCH", {"delay": 2}), ("PUT", {}), ("DELETE", None)):
        for stale in (first, f"W/{second}", '"x", "y"'):
            answer = await service.root.request(method, "/v1/queues/q", json=body, headers={"If-Match": stale})
            assert problem(answer)[:2] == (412, "precondition_failed")
    assert (await service.root.get("/v1/queues/q")).json()["delay"] == 1
    answer = await service.root.put("/v1/queues/q", json={}, headers={"If-Match": f'"x", {second}'})
    assert (answer.status_code, answer.headers["etag"]) == (200, first)
    assert (await service.root.delete("/v1/queues/q", headers={"If-Match": "*"})).status_code == 204
    assert problem(await service.root.put("/v1/queues/q", headers={"If-Match": "*"}))[0] == 412


async def test_if_none_match_creates_only_and_spares_unchanged_answers(service: Service) -> None:
    created = await service.root.put("/v1/queues/q", headers={"If-None-Match": "*"})
    assert created.status_code == 201
    assert problem(await service.root.put("/v1/queues/q", headers={"If-None-Match": "*"}))[0] == 412
    tag = created.headers["etag"]
    unchanged = await service.root.get("/v1/queues/q", headers={"If-None-Match": f"W/{tag}"})
    assert (unchanged.status_code, unchanged.content, unchanged.headers["etag"]) == (304, b"", tag)
    assert (await service.root.get("/v1/queues/q", headers={"If-None-Match": '"other"'})).status_code == 200
    assert problem(await service.root.get("/v1/queues/q", headers={"If-None-Match": "nonsense"}))[:2] == (
        400,
        "malformed_request",
    )


async def test_purge_removes_all_and_keeps_the_configuration(service: Service) -> None:
    number = await service.queue(delay=7)
    await messages(service.sql, number, 5)
    await messages(service.sql, number, 3, lease="n", visible_at="clock_timestamp() + interval '1 hour'")
    await messages(service.sql, number, 2, visible_at="clock_timestamp() + interval '1 hour'")
    assert (await service.root.post("/v1/queues/q/purge")).json() == {"purged": 10}
    answer = await service.root.get("/v1/queues/q")
    assert answer.json()["stats"] == EMPTY
    assert answer.json()["delay"] == 7
    assert (await service.root.post("/v1/queues/q/purge")).json() == {"purged": 0}


async def test_a_queue_made_anew_is_empty(service: Service) -> None:
    number = await service.queue()
    await messages(service.sql, number, 3)
    assert (await service.root.delete("/v1/queues/q")).status_code == 204
    assert problem(await service.root.delete("/v1/queues/q"))[:2] == (404, "queue_not_found")
    assert (await service.root.put("/v1/queues/q")).json()["stats"] == EMPTY
    assert [row["number"] for row in await service.sql.fetch("select number from retired_queue")] == [number]


async def test_what_does_not_exist_is_told_so(service: Service) -> None:
    for method, path in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/purge")):
        answer = await service.root.request(method, f"/v1/queues/none{path}")
        assert problem(answer)[:2] == (404, "queue_not_found")


async def test_stats_tell_the_states_apart(service: Service) -> None:
    number = await service.queue(retention=3600)
    later, past, long_ago = (
        "clock_timestamp() + interval '1 minute'",
        "clock_timestamp() - interval '9 s'",
        "'2020-01-01'",
    )
    await messages(service.sql, number, 4, visible_at=past)
    await messages(service.sql, number, 1, visible_at=past, lease="n")
    await messages(service.sql, number, 3, visible_at=later)
    await messages(service.sql, number, 2, visible_at=later, lease="n")
    await messages(service.sql, number, 8, visible_at=past, first_visible_at=long_ago)
    await messages(service.sql, number, 8, visible_at=past, expires_at=past)
    await messages(service.sql, number, 8, visible_at=later, expires_at=past)
    await messages(service.sql, number, 1, visible_at=later, expires_at=past, lease="n")
    stats = (await service.root.get("/v1/queues/q")).json()["stats"]
    assert 9 <= stats.pop("oldest_ready_age") < 30
    assert stats == {"ready": 5, "delayed": 3, "leased": 3, "total": 11, "approximate": False}


async def test_a_dead_letter_queue_is_shown_kept_by_patch_and_dropped_by_null(service: Service) -> None:
    await service.queue("dead")
    letter = {"queue": "dead", "max_receives": 3}
    made = await service.root.put("/v1/queues/q", json={"dead_letter": letter})
    assert made.json()["dead_letter"] == letter | {"expired": False}
    kept = await service.root.patch("/v1/queues/q", json={"delay": 1})
    assert kept.json()["dead_letter"] == letter | {"expired": False}
    assert kept.headers["etag"] != made.headers["etag"]
    assert (await service.root.patch("/v1/queues/q", json={"dead_letter": None})).json()["dead_letter"] is None


async def test_a_queue_that_others_name_as_dead_letter_queue_cannot_be_deleted(service: Service) -> None:
    await service.queue("dead")
    await service.queue("q", dead_letter={"queue": "dead", "max_receives": 3})
    answer = await service.root.delete("/v1/queues/dead")
    assert problem(answer) == (409, "conflict", [])
    assert "'q'" in answer.json()["detail"]
    assert (await service.root.delete("/v1/queues/q")).status_code == 204
    assert (await service.root.delete("/v1/queues/dead")).status_code == 204


async def test_dead_letter_queues_never_make_a_cycle(service: Service) -> None:
    await service.queue("a")
    await service.queue("b", dead_letter={"queue": "a", "max_receives": 3})
    await service.queue("c", dead_letter={"queue": "b", "max_receives": 3})
    refused = {"dead_letter": {"queue": "c", "max_receives": 3}}
    expected = (422, "invalid_request", [("/dead_letter/queue", "cycle")])
    for name in ("a", "b", "c"):
        assert problem(await service.root.patch(f"/v1/queues/{name}", json=refused)) == expected
        assert problem(await service.root.put(f"/v1/queues/{name}", json=refused)) == expected


async def test_changes_at_the_same_moment_never_close_a_cycle(service: Service) -> None:
    for name in ("a", "b", "c"):
        await service.queue(name)
    for _ in range(5):
        answers = await asyncio.gather(
            *(
                service.root.patch(f"/v1/queues/{name}", json={"dead_letter": {"queue": target, "max_receives": 3}})
                for name, target in (("a", "b"), ("b", "c"), ("c", "a"))
            )
        )
        assert sorted(answer.status_code for answer in answers) == [200, 200, 422]
        for name in ("a", "b", "c"):
            await service.root.patch(f"/v1/queues/{name}", json={"dead_letter": None})


async def test_what_an_operator_allows_bounds_the_default_and_what_is_set_anew(service: Service, database: str) -> None:
    await service.queue("old")
    async with in_process(database, max_message_bytes=2000) as strict:
        assert (await strict.root.put("/v1/queues/q")).json()["max_message_bytes"] == 2000
        refused = await strict.root.put("/v1/queues/q", json={"max_message_bytes": 2001})
        assert refused.json()["errors"][0]["pointer"] == "/max_message_bytes"
        paused = (await strict.root.patch("/v1/queues/old", json={"paused": True})).json()
        assert (paused["paused"], paused["max_message_bytes"]) == (True, 262144)
        reset = await strict.root.patch("/v1/queues/old", json={"max_message_bytes": None})
        assert reset.json()["max_message_bytes"] == 2000


async def test_a_key_can_have_dead_letters_moved_only_where_it_may_go_itself(service: Service) -> None:
    await service.queue("other")
    await service.queue("shop-dead")
    async with service.client(await service.key("manage", queues=["shop-*"])) as client:
        for name, status in (("other", 403), ("shop-dead", 201)):
            fields = {"dead_letter": {"queue": name, "max_receives": 1}}
            assert (await client.put("/v1/queues/shop-q", json=fields)).status_code == status
        answer = await client.patch("/v1/queues/shop-q", json={"dead_letter": {"queue": "other", "max_receives": 1}})
        assert problem(answer)[:2] == (403, "forbidden")
        assert (await client.patch("/v1/queues/shop-q", json={"dead_letter": None})).status_code == 200
