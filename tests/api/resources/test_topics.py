"""What is published to a topic is copied to every subscribed queue that wants it: all copies or none."""

import asyncio
from typing import Any

import pytest

from tests.api.kit.test_lists import following
from tests.api.resources.test_queues import problem
from tests.in_process import Service, in_process

pytestmark = pytest.mark.anyio

T = "/v1/topics/t"


async def subscribed(service: Service, *names: str, type: str = "standard", **filters: Any) -> None:  # noqa: A002 - the field's name
    """Make the topic, and for each name a queue that is subscribed to it."""
    await service.root.put(T, json={"type": type})
    for name in names:
        await service.queue(name, type=type)
        fields = {"queue": name, "filter": filters.get(name, {})}
        answer = await service.root.put(f"{T}/subscriptions/{name}", json=fields)
        assert answer.status_code == 201, answer.text


async def publish(service: Service, body: Any = 1, **fields: Any) -> Any:
    return await service.root.post(f"{T}/messages", json={"body": body, **fields})


async def received(service: Service, queue: str) -> list[dict[str, Any]]:
    answer = await service.root.post(f"/v1/queues/{queue}/messages/receive", json={"max_messages": 100})
    found: list[dict[str, Any]] = answer.json()["messages"]
    return found


async def test_a_topic_is_made_changed_read_listed_and_deleted(service: Service) -> None:
    made = await service.root.put(T, json={"type": "fifo", "deduplicate_by_content": True})
    assert made.status_code == 201
    shown = made.json()
    assert (shown["type"], shown["deduplication_window"], shown["deduplicate_by_content"]) == ("fifo", 300, True)
    again = await service.root.put(T, json={"deduplicate_by_content": True})
    assert (again.status_code, again.json()) == (200, shown)
    assert problem(await service.root.put(T, json={"type": "standard"}))[:2] == (409, "conflict")
    patched = await service.root.patch(T, json={"deduplication_window": 0.5, "deduplicate_by_content": None})
    assert (patched.json()["deduplication_window"], patched.json()["deduplicate_by_content"]) == (0.5, False)
    assert (await service.root.get(T)).json() == patched.json()
    tag = patched.headers["etag"]
    assert (await service.root.get(T, headers={"If-None-Match": tag})).status_code == 304
    assert problem(await service.root.delete(T, headers={"If-Match": '"x"'}))[:2] == (412, "precondition_failed")
    await service.root.put("/v1/topics/other")
    assert [topic["name"] for topic in (await service.root.get("/v1/topics")).json()["items"]] == ["other", "t"]
    assert (await service.root.delete(T)).status_code == 204
    assert problem(await service.root.get(T))[:2] == (404, "topic_not_found")


async def test_every_subscribed_queue_gets_a_copy_of_its_own(service: Service) -> None:
    await subscribed(service, "a", "b")
    answer = await publish(service, {"n": 1.10}, headers={"Color": "red"}, priority=3)
    assert (answer.status_code, answer.json()["delivered_to"]) == (201, 2)
    copies = [message for queue in "ab" for message in await received(service, queue)]
    assert [(copy["body"], copy["headers"], copy["priority"]) for copy in copies] == [
        ({"n": 1.1}, {"color": "red"}, 3)
    ] * 2
    assert {copy["published"]["id"] for copy in copies} == {answer.json()["id"]}
    assert {copy["published"]["topic"] for copy in copies} == {"t"}
    assert len({copy["id"] for copy in copies} | {answer.json()["id"]}) == 3
    browsed = (await service.root.get(f"/v1/queues/a/messages/{copies[0]['id']}")).json()
    assert browsed["published"] == copies[0]["published"]


async def test_a_filter_decides_who_gets_a_copy(service: Service) -> None:
    await subscribed(
        service,
        "red",
        "big",
        "all",
        red={"headers": {"color": ["red"]}},
        big={"body": {"/size": [{"numeric": [">", 9]}]}},
    )
    for body, color, expected in (
        ({"size": 10}, "red", 3),
        ({"size": 1}, "red", 2),
        ({"size": 10}, "blue", 2),
        ("x", "blue", 1),
    ):
        answer = await publish(service, body, headers={"color": color})
        assert answer.json()["delivered_to"] == expected
    assert [len(await received(service, queue)) for queue in ("red", "big", "all")] == [2, 2, 4]


async def test_a_copy_keeps_its_origin_through_a_dead_letter_queue_and_back(service: Service) -> None:
    await service.queue("dead")
    await service.root.put("/v1/queues/a", json={"dead_letter": {"queue": "dead", "max_receives": 5}})
    await service.root.put(T)
    await service.root.put(f"{T}/subscriptions/a", json={"queue": "a"})
    origin = (await publish(service)).json()["id"]
    [copy] = await received(service, "a")
    await service.root.post(f"/v1/receipts/{copy['receipt']}/reject", json={})
    [letter] = await received(service, "dead")
    assert letter["published"] == {"topic": "t", "id": origin}


async def test_a_batch_is_published_whole_and_in_order(service: Service) -> None:
    await subscribed(service, "a", "odd", odd={"body": {"": [1, 3]}})
    answer = await service.root.post(
        f"{T}/messages/batch", json={"messages": [{"body": number} for number in range(5)]}
    )
    assert (answer.status_code, [one["delivered_to"] for one in answer.json()["messages"]]) == (201, [1, 2, 1, 2, 1])
    assert [copy["body"] for copy in await received(service, "a")] == [0, 1, 2, 3, 4]
    assert [copy["body"] for copy in await received(service, "odd")] == [1, 3]


async def test_a_full_queue_keeps_a_publish_out_of_all(service: Service) -> None:
    await subscribed(service, "a", "b")
    await service.root.put("/v1/queues/b", json={"max_length": 1})
    assert (await publish(service)).status_code == 201
    assert problem(await publish(service))[:2] == (429, "queue_full")
    assert [len(await received(service, queue)) for queue in "ab"] == [1, 1]


async def test_a_copy_too_large_for_one_queue_is_refused_for_all(service: Service) -> None:
    await subscribed(service, "a", "b")
    await service.root.put("/v1/queues/b", json={"max_message_bytes": 3})
    assert problem(await publish(service, "long"))[:2] == (413, "payload_too_large")
    batch = {"messages": [{"body": 1}, {"body": "long"}]}
    refused = await service.root.post(f"{T}/messages/batch", json=batch)
    assert refused.json()["errors"][0]["pointer"] == "/messages/1"
    assert await received(service, "a") == []


async def test_a_publish_that_is_repeated_is_stored_nowhere(service: Service) -> None:
    await subscribed(service, "a", "b")
    first = await publish(service, 1, deduplication_id="x")
    again = await publish(service, 2, deduplication_id="x")
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == {"id": first.json()["id"], "delivered_to": 0, "duplicate": True}
    keyed = [
        await service.root.post(f"{T}/messages", json={"body": 3}, headers={"Idempotency-Key": "k"}) for _ in range(2)
    ]
    assert [answer.status_code for answer in keyed] == [201, 200]
    batch = {"messages": [{"body": 4}, {"body": 5}]}
    batches = [
        await service.root.post(f"{T}/messages/batch", json=batch, headers={"Idempotency-Key": "b"}) for _ in range(2)
    ]
    assert [answer.status_code for answer in batches] == [201, 200]
    assert [one["id"] for one in batches[0].json()["messages"]] == [one["id"] for one in batches[1].json()["messages"]]
    for queue in "ab":
        assert [copy["body"] for copy in await received(service, queue)] == [1, 3, 4, 5]


async def test_of_many_publishes_under_one_id_at_once_one_is_stored(service: Service, database: str) -> None:
    await subscribed(service, "a")
    async with in_process(database) as other:
        answers = await asyncio.gather(
            *[publish(one, 1, deduplication_id="x") for one in (service, other) for _ in range(10)]
        )
    assert sorted(answer.status_code for answer in answers) == [200] * 19 + [201]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(await received(service, "a")) == 1


async def test_deduplication_by_content_is_the_topics(service: Service) -> None:
    await subscribed(service, "a")
    await service.root.patch(T, json={"deduplicate_by_content": True})
    assert [(await publish(service, body)).status_code for body in (1, 1, 2)] == [201, 200, 201]
    # A queue's own does not look at copies of different publishes under the topic's ids.
    await service.root.patch(T, json={"deduplicate_by_content": False})
    assert [(await publish(service, 1)).status_code for _ in range(2)] == [201, 201]
    assert [copy["body"] for copy in await received(service, "a")] == [1, 2, 1, 1]


async def test_a_group_is_in_the_same_order_in_every_queue_whoever_publishes(service: Service, database: str) -> None:
    await subscribed(service, "a", "b", type="fifo")
    async with in_process(database) as other:
        await asyncio.gather(
            *[
                publish(one, [place, number], group="g")
                for number in range(10)
                for place, one in enumerate((service, other))
            ]
        )
    orders = [[copy["body"] for copy in await received(service, queue)] for queue in "ab"]
    assert len(orders[0]) == 20
    assert orders[0] == orders[1]


async def test_what_was_published_before_another_began_comes_first(service: Service, database: str) -> None:
    await subscribed(service, "a", type="fifo")
    async with in_process(database) as other:
        for number in range(10):
            await publish((service, other)[number % 2], number)
    assert [copy["body"] for copy in await received(service, "a")] == list(range(10))


async def test_a_change_holds_for_every_publish_after_its_answer_through_any_process(
    service: Service, database: str
) -> None:
    await subscribed(service, "a")
    async with in_process(database) as other:
        assert (await publish(other)).json()["delivered_to"] == 1
        await service.queue("b")
        await service.root.put(f"{T}/subscriptions/b", json={"queue": "b"})
        assert (await publish(other)).json()["delivered_to"] == 2
        await service.root.put(f"{T}/subscriptions/b", json={"queue": "b", "filter": {"body": {"": [2]}}})
        assert (await publish(other)).json()["delivered_to"] == 1
        await service.root.delete(f"{T}/subscriptions/a")
        assert (await publish(other, 2)).json()["delivered_to"] == 1
        # Made anew under its name, it is another queue: nobody has subscribed it.
        await service.root.delete("/v1/queues/b")
        await service.queue("b")
        assert (await publish(other, 2)).json()["delivered_to"] == 0
        assert (await service.root.get(f"{T}/subscriptions")).json()["items"] == []
        await service.root.delete(T)
        assert problem(await publish(other))[:2] == (404, "topic_not_found")


async def test_a_subscription_is_made_changed_read_listed_and_ended(service: Service) -> None:
    await subscribed(service, "a")
    wanted = {"body": {"/z": ["x"], "/a": [1.5, {"prefix": "\u20ac"}]}}
    changed = await service.root.put(f"{T}/subscriptions/a", json={"queue": "a", "filter": wanted})
    assert (changed.status_code, changed.json()["filter"]) == (200, wanted)
    assert list(changed.json()["filter"]["body"]) == ["/z", "/a"]
    again = await service.root.put(f"{T}/subscriptions/a", json={"queue": "a", "filter": wanted})
    assert again.json() == changed.json()
    assert (await service.root.get(f"{T}/subscriptions/a")).json() == changed.json()
    assert (await service.root.get(f"{T}/subscriptions")).json()["items"] == [changed.json()]
    assert (await service.root.delete(f"{T}/subscriptions/a")).status_code == 204
    assert problem(await service.root.get(f"{T}/subscriptions/a"))[:2] == (404, "subscription_not_found")


async def test_a_subscription_is_changed_only_if_it_is_still_what_was_read(service: Service) -> None:
    await subscribed(service, "a")
    S = f"{T}/subscriptions/a"  # noqa: N806
    tag = (await service.root.get(S)).headers["etag"]
    assert (await service.root.get(S, headers={"If-None-Match": tag})).status_code == 304
    wanted = {"queue": "a", "filter": {"headers": {"color": ["red"]}}}
    made = await service.root.put(S, json=wanted, headers={"If-None-Match": "*"})
    assert problem(made)[:2] == (412, "precondition_failed")
    changed = await service.root.put(S, json=wanted, headers={"If-Match": tag})
    assert (changed.status_code, changed.headers["etag"] == tag) == (200, False)
    for answer in (
        await service.root.put(S, json={"queue": "a"}, headers={"If-Match": tag}),
        await service.root.delete(S, headers={"If-Match": tag}),
    ):
        assert problem(answer)[:2] == (412, "precondition_failed")
    assert (await service.root.get(S)).json()["filter"] == wanted["filter"]
    assert (await service.root.delete(S, headers={"If-Match": changed.headers["etag"]})).status_code == 204


async def test_what_cannot_be_subscribed_is_refused_with_its_field(service: Service) -> None:
    await subscribed(service, "a")
    await service.queue("fifo", type="fifo")
    S = f"{T}/subscriptions/s"  # noqa: N806
    for body, status, code in (
        ({"queue": "a"}, 409, "conflict"),
        ({"queue": "none"}, 422, "invalid_request"),
        ({"queue": "fifo"}, 422, "invalid_request"),
        ({}, 422, "invalid_request"),
        ({"queue": "a", "filter": {"body": {"x": [1]}}}, 422, "invalid_request"),
        ({"queue": "a", "filter": []}, 422, "invalid_request"),
    ):
        assert problem(await service.root.put(S, json=body))[:2] == (status, code), body
    assert (
        problem(await service.root.put("/v1/topics/none/subscriptions/s", json={"queue": "a"}))[1] == "topic_not_found"
    )


@pytest.mark.parametrize(
    "wanted",
    [b'{"body":{"/a":["\\ud800"]}}', b'{"headers":{"h":[1e400]}}', b'{"body":{"/a":[%b]}}' % (b"9" * 500)],
    ids=["half a pair", "no number", "a number of 500 digits"],
)
async def test_a_filter_that_cannot_be_kept_is_refused_and_the_topic_is_well(service: Service, wanted: bytes) -> None:
    await subscribed(service, "a")
    await service.queue("b")
    refused = await service.root.put(f"{T}/subscriptions/b", content=b'{"queue":"b","filter":%b}' % wanted)
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/filter")
    assert (await publish(service)).json()["delivered_to"] == 1


async def test_a_tester_tells_who_would_get_a_message_and_why_not(service: Service) -> None:
    await subscribed(service, "all", "red", red={"headers": {"color": ["red"]}})
    answer = await service.root.post(f"{T}/match", json={"body": 1, "headers": {"color": "blue"}})
    assert answer.status_code == 200
    assert answer.json() == {
        "delivered_to": 1,
        "subscriptions": [
            {"subscription": "all", "queue": "all", "matches": True, "failed": None},
            {"subscription": "red", "queue": "red", "matches": False, "failed": "/filter/headers/color"},
        ],
    }
    assert await received(service, "all") == []


async def test_a_topic_with_more_subscriptions_than_can_be_tested_in_time_says_so(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    await subscribed(service, "a", "b")
    monkeypatch.setattr("service.domain.subscriptions._AT_A_TIME", 1)
    assert (await service.root.post(f"{T}/match", json={"body": 1})).json()["delivered_to"] == 2
    monkeypatch.setattr("service.domain.subscriptions._JUDGE_SECONDS", -1)
    answer = await service.root.post(f"{T}/match", json={"body": 1})
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")


async def test_keys_are_bound_to_topics_by_their_patterns(service: Service) -> None:
    await subscribed(service, "a")
    async with service.client(await service.key("send", queues=["t*"])) as client:
        assert (await client.post(f"{T}/messages", json={"body": 1})).status_code == 201
        assert problem(await client.post("/v1/topics/other/messages", json={"body": 1}))[:2] == (403, "forbidden")
        await service.root.put("/v1/topics/other")
        assert [topic["name"] for topic in (await client.get("/v1/topics")).json()["items"]] == ["t"]


async def test_subscriptions_of_queues_outside_a_keys_patterns_are_not_shown_and_not_changed(service: Service) -> None:
    await subscribed(service, "t-mine")
    await service.queue("hidden")
    path = f"{T}/subscriptions"
    await service.root.put(f"{path}/a", json={"queue": "hidden"})
    async with service.client(await service.key("send", "manage", queues=["t*"])) as client:
        answer = await client.get(f"{path}?limit=1")
        assert ([item["name"] for item in answer.json()["items"]], answer.json()["next_cursor"]) == (["t-mine"], None)
        for method, body in (("GET", None), ("PUT", {"queue": "t-mine"}), ("DELETE", None)):
            refused = await client.request(method, f"{path}/a", json=body)
            assert problem(refused)[:2] == (403, "forbidden"), method
            assert "hidden" not in refused.text
        matched = (await client.post(f"{T}/match", json={"body": 1})).json()
        assert matched["delivered_to"] == 2
        assert [one["queue"] for one in matched["subscriptions"]] == ["t-mine"]
    assert (await service.root.get(f"{path}/a")).json()["queue"] == "hidden"


async def test_a_fifo_topic_takes_no_priority_even_if_nobody_is_subscribed(service: Service) -> None:
    await service.root.put(T, json={"type": "fifo"})
    refused = await publish(service, priority=1)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/priority"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [({}, "/body"), ({"body": 1, "topic": "x"}, "/topic"), ({"body": 1, "delay": -1}, "/delay")],
)
async def test_a_bad_message_is_published_nowhere(service: Service, body: dict[str, Any], pointer: str) -> None:
    await subscribed(service, "a")
    for path in ("messages", "match"):
        refused = await service.root.post(f"{T}/{path}", json=body)
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, pointer)
    assert await received(service, "a") == []


async def feeding(service: Service, path: str) -> list[list[str]]:
    """Return the topics that feed a queue, page by page."""
    found = []
    link: str | None = path
    while link is not None:
        answer = await service.root.get(link)
        assert answer.status_code == 200, answer.text
        found.append([item["topic"] for item in answer.json()["items"]])
        link = following(answer)
    return found


async def test_a_queue_tells_which_topics_feed_it(service: Service) -> None:
    await service.queue("q")
    await service.queue("other")
    assert await feeding(service, "/v1/queues/q/subscriptions") == [[]]
    for topic in ("b", "a", "Z"):
        await service.root.put(f"/v1/topics/{topic}")
        fields = {"queue": "q", "filter": {"headers": {"x": ["1"]}}}
        await service.root.put(f"/v1/topics/{topic}/subscriptions/of-{topic}", json=fields)
        await service.root.put(f"/v1/topics/{topic}/subscriptions/other", json={"queue": "other"})
    found = (await service.root.get("/v1/queues/q/subscriptions")).json()
    shown = (await service.root.get("/v1/topics/Z/subscriptions/of-Z")).json()
    assert found["items"][0] == shown | {"topic": "Z"}
    for limit, pages in ((1, [["Z"], ["a"], ["b"]]), (2, [["Z", "a"], ["b"]]), (3, [["Z", "a", "b"]])):
        assert await feeding(service, f"/v1/queues/q/subscriptions?limit={limit}") == pages
    cursor = (await service.root.get("/v1/queues/q/subscriptions?limit=1")).json()["next_cursor"]
    answer = await service.root.get(f"/v1/queues/other/subscriptions?cursor={cursor}")
    assert problem(answer)[:2] == (400, "malformed_request")
    assert problem(await service.root.get("/v1/queues/none/subscriptions"))[:2] == (404, "queue_not_found")


async def test_a_key_learns_of_no_topic_that_it_does_not_cover(service: Service) -> None:
    await service.queue("q")
    for topic in ("in-1", "out", "in-2"):
        await service.root.put(f"/v1/topics/{topic}")
        await service.root.put(f"/v1/topics/{topic}/subscriptions/s", json={"queue": "q"})
    async with service.client(await service.key("send", queues=["q", "in-*"])) as client:
        found = (await client.get("/v1/queues/q/subscriptions")).json()
        assert [item["topic"] for item in found["items"]] == ["in-1", "in-2"]
        assert problem(await client.get("/v1/queues/out/subscriptions"))[:2] == (403, "forbidden")
