"""Looking at messages: what is there, what state it is in and why, and nothing is changed by it."""

import asyncio
import base64
from typing import Any
from uuid import uuid4

import pytest

from tests.api.kit.test_lists import following
from tests.in_process import ROOT_KEY, Service, messages

pytestmark = pytest.mark.anyio

Q = "/v1/queues/q"


async def send(service: Service, *bodies: Any, **fields: Any) -> list[str]:
    drafts = [{"body": body, **fields} for body in bodies]
    answer = await service.root.post(f"{Q}/messages/batch", json={"messages": drafts})
    assert answer.status_code == 201, answer.text
    return [message["id"] for message in answer.json()["messages"]]


async def take(service: Service, **fields: Any) -> list[dict[str, Any]]:
    taken: list[dict[str, Any]] = (await service.root.post(f"{Q}/messages/receive", json=fields)).json()["messages"]
    return taken


async def listed(service: Service, query: str = "") -> list[dict[str, Any]]:
    answer = await service.root.get(f"{Q}/messages?{query}")
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def look(service: Service, message_id: str) -> dict[str, Any]:
    answer = await service.root.get(f"{Q}/messages/{message_id}")
    assert answer.status_code == 200, answer.text
    message: dict[str, Any] = answer.json()
    return message


async def test_a_list_shows_the_beginning_of_each_message_in_the_order_of_sending(service: Service) -> None:
    await service.queue()
    long = "\u00e9" * 500
    ids = await send(service, {"n": 1}, long, headers={"a": "b"}, priority=3, group="g")
    octets = await service.root.post(f"{Q}/raw", content=b"\x00" * 1000, headers={"Content-Type": "image/png"})
    one, two, three = await listed(service)
    assert [one["id"], two["id"], three["id"]] == [*ids, octets.json()["id"]]
    assert (one["preview"], one["body_size"], one["state"], one["receive_count"]) == ('{"n":1}', 7, "ready", 0)
    assert (one["headers"], one["priority"], one["group"]) == ({"a": "b"}, 3, "g")
    assert (one["lease_expires_at"], one["first_received_at"], one["dead_letter"]) == (None, None, None)
    assert len(two["preview"].encode()) <= 256
    assert two["preview"] == '"' + "\u00e9" * 127
    assert (two["body_size"], three["content_type"], three["preview"]) == (1002, "image/png", None)
    assert base64.b64decode(three["preview_base64"]) == b"\x00" * 256
    assert [message["id"] for message in await listed(service, "order=newest")] == [three["id"], two["id"], one["id"]]


async def test_looking_takes_counts_and_holds_nothing(service: Service) -> None:
    await service.queue()
    [message_id] = await send(service, 1)
    waiting = asyncio.create_task(take(service, wait=5, visibility_timeout=5))
    for _ in range(5):
        await listed(service)
        await look(service, message_id)
    [taken] = await waiting
    assert taken["receive_count"] == 1
    seen = await look(service, message_id)
    assert (seen["receive_count"], seen["lease_expires_at"]) == (1, taken["lease_expires_at"])
    assert (await service.root.delete(f"/v1/receipts/{taken['receipt']}")).status_code == 204
    assert await listed(service) == []
    answer = await service.root.get(f"{Q}/messages/{message_id}")
    assert (answer.status_code, answer.json()["code"]) == (404, "message_not_found")


async def test_a_message_is_shown_with_its_body_byte_for_byte(service: Service) -> None:
    await service.queue()
    body = '{"b": 1e400, "a" : [1.0, "\\u0000\\ud800"], "a":2}'
    sent = await service.root.post(f"{Q}/messages", content=b'{"body":' + body.encode() + b"}")
    answer = await service.root.get(f"{Q}/messages/{sent.json()['id']}")
    assert answer.content.endswith(b'"body":' + body.encode() + b"}")
    octets = (await service.root.post(f"{Q}/raw", content=b"\xff\x00")).json()["id"]
    assert base64.b64decode((await look(service, octets))["body_base64"]) == b"\xff\x00"


async def test_states_and_what_a_message_waits_for(service: Service) -> None:
    await service.queue()
    [ready] = await send(service, 1)
    [delayed] = await send(service, 2, delay=60)
    assert ((await look(service, ready))["state"], (await look(service, ready))["waiting_for"]) == ("ready", None)
    seen = await look(service, delayed)
    assert seen["state"] == "delayed"
    assert seen["waiting_for"] == {"reason": "delay", "until": seen["visible_at"]}
    [taken] = await take(service)
    seen = await look(service, ready)
    assert seen["state"] == "leased"
    holder = seen["waiting_for"].pop("holder")
    assert seen["waiting_for"] == {"reason": "lease", "until": taken["lease_expires_at"]}
    assert (holder["via"], holder["key_id"]) == ("receive", None)
    await service.root.patch(Q, json={"paused": True})
    assert (await look(service, ready))["waiting_for"]["reason"] == "lease"
    assert (await look(service, delayed))["waiting_for"] == {"reason": "paused"}
    for state, expected in (("ready", []), ("delayed", [delayed]), ("leased", [ready])):
        assert [message["id"] for message in await listed(service, f"state={state}")] == expected


async def test_what_has_expired_is_not_there_unless_somebody_holds_it(service: Service) -> None:
    number = await service.queue(retention=60)
    past = "clock_timestamp() - interval '90 seconds'"
    ahead = "clock_timestamp() + interval '1 minute'"
    await messages(service.sql, number, 2, first_visible_at=past, visible_at=past, expires_at="clock_timestamp()")
    await messages(service.sql, number, 1, first_visible_at=past, visible_at=ahead, lease="1")
    assert [message["state"] for message in await listed(service)] == ["leased"]


@pytest.mark.parametrize("kind", ["standard", "fifo"])
async def test_a_queue_that_keeps_messages_for_ever_is_looked_at_like_any_other(service: Service, kind: str) -> None:
    await service.queue(type=kind, retention=None)
    [kept] = await send(service, 1, group="a")
    [with_ttl] = await send(service, 2, group="b", ttl=60)
    for query in ("", "state=ready", "group=a", "order=newest", "header.color=red"):
        assert all(message["id"] in {kept, with_ttl} for message in await listed(service, query))
    assert (await look(service, kept))["expires_at"] is None
    assert (await look(service, with_ttl))["expires_at"] is not None
    if kind == "fifo":
        groups = (await service.root.get(f"{Q}/groups")).json()["items"]
        assert [group["group"] for group in groups] == ["a", "b"]
    found = await service.root.post(f"{Q}/messages/actions", json={"action": "delete", "dry_run": True})
    assert (found.status_code, found.json()) == (200, {"matched": 2})


async def test_filters_all_have_to_hold(service: Service) -> None:
    await service.queue()
    [one] = await send(service, 1, headers={"Color": "red", "size": "1"}, group="g")
    [two] = await send(service, 2, headers={"color": "red", "size": "2"})
    [three] = await send(service, 3)
    for query, expected in (
        ("header.COLOR=red", [one, two]),
        ("header.color=red&header.size=2", [two]),
        ("header.color=blue", []),
        ("group=g", [one]),
        ("group=h", []),
        ("group=", [two, three]),
        ("header.color=red&header.Color=blue", []),
    ):
        assert [message["id"] for message in await listed(service, query)] == expected, query
    at = (await look(service, two))["sent_at"]
    assert [message["id"] for message in await listed(service, f"sent_after={at}")] == [three]
    assert [message["id"] for message in await listed(service, f"sent_before={at}")] == [one]


async def test_pages_follow_one_another_and_a_cursor_belongs_to_its_filter(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.store.views.browse.PAGE_ROWS", 4)
    await service.queue()
    ids = [message_id for _ in range(3) for message_id in await send(service, 1, 2, 3)]
    for order, expected in (("oldest", ids), ("newest", ids[::-1])):
        seen: list[str] = []
        path: str | None = f"{Q}/messages?limit=3&order={order}"
        while path is not None:
            answer = await service.root.get(path)
            seen += [message["id"] for message in answer.json()["items"]]
            path = following(answer)
        assert seen == expected
    cursor = (await service.root.get(f"{Q}/messages?limit=3")).json()["next_cursor"]
    for query in (f"cursor={cursor}&state=ready", f"cursor={cursor}&order=newest", "cursor=x"):
        assert (await service.root.get(f"{Q}/messages?{query}")).json()["code"] == "malformed_request"
    sparse = await service.root.get(f"{Q}/messages?header.a=b")
    assert sparse.json()["items"] == []
    assert sparse.json()["next_cursor"] is not None


@pytest.mark.parametrize(
    "query",
    [
        "state=gone",
        "limit=0",
        "sent_after=yesterday",
        "sent_after=2026-01-01T00:00:00",
        "order=random",
        "colour=red",
        "header.a%20b=c",
        "group=" + "g" * 129,
        "group=a%00",
        "header.a=%00",
        "header.=b",
    ],
)
async def test_a_filter_that_cannot_be_read_is_refused(service: Service, query: str) -> None:
    await service.queue()
    answer = await service.root.get(f"{Q}/messages?{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


async def test_groups_are_shown_with_what_holds_them(service: Service) -> None:
    await service.queue(type="fifo")
    await send(service, 1, 2, group="free")
    [delayed] = await send(service, 3, group="delayed", delay=60)
    await send(service, 4)
    await send(service, 5, 6, group="leased")
    for message in await take(service, max_messages=100):
        if message["group"] != "leased" or message["body"] == 6:
            await service.root.post(f"/v1/receipts/{message['receipt']}/release", json={"count": False})
    items = (await service.root.get(f"{Q}/groups")).json()["items"]
    assert [(item["group"], item["depth"]) for item in items] == [(None, 1), ("delayed", 1), ("free", 2), ("leased", 2)]
    holders = {item["group"]: item["held_by"] for item in items}
    assert holders[None] is None
    assert holders["free"] is None
    assert (holders["delayed"]["message_id"], holders["delayed"]["reason"]) == (delayed, "delay")
    [held] = await listed(service, "state=leased")
    assert (holders["leased"]["message_id"], holders["leased"]["reason"]) == (held["id"], "lease")
    assert holders["leased"]["until"] == held["lease_expires_at"]
    assert holders["leased"]["since"] < holders["leased"]["until"]
    blocked = (await service.root.get(f"{Q}/groups?blocked=true&limit=1")).json()
    assert [item["group"] for item in blocked["items"]] == ["delayed"]
    rest = await service.root.get(f"{Q}/groups", params={"blocked": True, "limit": 1, "cursor": blocked["next_cursor"]})
    assert [item["group"] for item in rest.json()["items"]] == ["leased"]
    [behind] = [message for message in await listed(service, "group=leased") if message["state"] == "ready"]
    assert (await look(service, behind["id"]))["waiting_for"] == {"reason": "group", "message_id": held["id"]}


async def test_a_message_waits_for_those_before_it_in_its_group_that_are_delayed(service: Service) -> None:
    await service.queue(type="fifo")
    [first] = await send(service, 1, group="g")
    [delayed] = await send(service, 2, group="g", delay=60)
    [last] = await send(service, 3, group="g")
    [other] = await send(service, 4, group="h")
    assert (await look(service, first))["waiting_for"] is None
    assert (await look(service, other))["waiting_for"] is None
    assert (await look(service, last))["waiting_for"] == {"reason": "group", "message_id": delayed}
    [taken] = await take(service)
    assert taken["id"] == first
    assert (await look(service, last))["waiting_for"] == {"reason": "group", "message_id": first}
    assert (await service.root.delete(f"/v1/receipts/{taken['receipt']}")).status_code == 204
    assert (await look(service, last))["waiting_for"] == {"reason": "group", "message_id": delayed}
    assert (await service.root.delete(f"{Q}/messages/{delayed}")).status_code == 204
    assert (await look(service, last))["waiting_for"] is None


async def test_pages_of_groups_hold_each_one_once(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.store.views.browse.PAGE_ROWS", 4)
    await service.queue(type="fifo")
    names = ["", "a", "B", "\u00e9", "z", *"0123456"]
    for name in names:
        await send(service, 1, **({"group": name} if name else {}), delay=60 if name == "z" else 0)
    seen: list[list[str]] = []
    path: str | None = f"{Q}/groups?limit=3"
    while path is not None:
        answer = await service.root.get(path)
        seen.append([item["group"] or "" for item in answer.json()["items"]])
        path = following(answer)
    assert [name for page in seen for name in page] == sorted(names, key=str.encode)
    held: list[str] = []
    path = f"{Q}/groups?limit=3&blocked=true"
    while path is not None:
        answer = await service.root.get(path)
        held += [item["group"] for item in answer.json()["items"]]
        path = following(answer)
    assert held == ["z"]
    cursor = (await service.root.get(f"{Q}/groups?limit=3")).json()["next_cursor"]
    for query in (f"cursor={cursor}&blocked=true", "cursor=x"):
        assert (await service.root.get(f"{Q}/groups?{query}")).json()["code"] == "malformed_request"
    for query in ("blocked=maybe", "held=true", "limit=0"):
        assert (await service.root.get(f"{Q}/groups?{query}")).json()["code"] == "invalid_request"


async def test_a_page_carries_no_more_headers_than_an_answer_should_have(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.store.views.browse.PAGE_BYTES", 1000)
    await service.queue()
    ids = [(await send(service, n, headers={"a": "x" * size}))[0] for n, size in enumerate((10, 600, 600, 5000, 10))]
    pages: list[list[str]] = []
    path: str | None = f"{Q}/messages"
    while path is not None:
        answer = await service.root.get(path)
        pages.append([message["id"] for message in answer.json()["items"]])
        path = following(answer)
    assert pages == [ids[:3], ids[3:4], ids[4:]]


async def test_the_groups_of_a_standard_queue_hold_nothing(service: Service) -> None:
    await service.queue()
    answer = await service.root.get(f"{Q}/groups")
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")


async def test_a_key_looks_at_the_queues_it_covers(service: Service) -> None:
    await service.queue()
    async with service.client(await service.key("browse", queues=["other-*"])) as client:
        assert (await client.get(f"{Q}/messages")).json()["code"] == "forbidden"


async def test_a_message_is_found_by_its_id_in_whatever_queue_it_lies(service: Service) -> None:
    await service.queue("dead")
    await service.queue(dead_letter={"queue": "dead", "max_receives": 1})
    [message_id] = await send(service, {"n": 1.0})
    found = await service.root.get(f"/v1/messages/{message_id}")
    assert (found.status_code, found.json()["queue"]) == (200, "q")
    assert found.content == (await service.root.get(f"{Q}/messages/{message_id}")).content
    [taken] = await take(service)
    await service.root.post(f"/v1/receipts/{taken['receipt']}/reject", json={"error": "no"})
    found = await service.root.get(f"/v1/messages/{message_id}")
    assert (found.json()["queue"], found.json()["dead_letter"]["last_error"]) == ("dead", "no")
    assert b'"body":{"n":1.0}' in found.content


async def test_a_message_is_found_only_in_the_project_and_in_queues_that_the_key_covers(service: Service) -> None:
    await service.queue()
    [message_id] = await send(service, 1)
    await service.root.put("/v1/projects/other")
    strangers = [
        service.client(ROOT_KEY, **{"Restante-Project": "other"}),
        service.client(await service.key("browse", queues=["other-*"])),
    ]
    for stranger in strangers:
        async with stranger as client:
            answer = await client.get(f"/v1/messages/{message_id}")
            assert (answer.status_code, answer.json()["code"]) == (404, "message_not_found")
    for nothing in ("x", str(uuid4())):
        assert (await service.root.get(f"/v1/messages/{nothing}")).status_code == 404


async def test_topics_and_webhooks_are_found_by_a_part_of_their_name(service: Service) -> None:
    await service.queue()
    for name in ("order-events", "mail"):
        await service.root.put(f"/v1/topics/{name}")
        await service.root.put(f"{Q}/webhooks/{name}", json={"url": "https://example.com/"})
    for path in ("/v1/topics", "/v1/webhooks"):
        answer = await service.root.get(path, params={"search": "ORDER"})
        assert [item["name"] for item in answer.json()["items"]] == ["order-events"]
