"""Lists over HTTP: of queues, keys and projects."""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.api.resources.test_queues import problem
from tests.in_process import Service, messages

pytestmark = pytest.mark.anyio


def following(answer: httpx.Response) -> str | None:
    """Return the URL of the next page, if there is one."""
    link = answer.links.get("next", {}).get("url")
    return None if link is None else str(answer.url.join(link))


async def pages(client: httpx.AsyncClient, path: str) -> AsyncIterator[list[Any]]:
    """Follow the links from page to page."""
    link: str | None = path
    while link is not None:
        answer = await client.get(link)
        assert answer.status_code == 200, answer.text
        link = answer.links.get("next", {}).get("url")
        assert (link is None) == (answer.json()["next_cursor"] is None)
        if link is not None:
            assert quote(answer.json()["next_cursor"]) in link
            # A proxy may have put something before the path, which the service cannot know.
            assert link.startswith("?")
        yield answer.json()["items"]
        link = following(answer)


async def names(client: httpx.AsyncClient, path: str) -> list[list[str]]:
    return [[item["name"] for item in page] async for page in pages(client, path)]


async def test_pages_hold_every_queue_once_in_byte_order_without_an_empty_last_one(service: Service) -> None:
    everything = sorted(["a", "B", "c0", "c-", "c.", "c_", "c~", "Z", "zz", "0"])
    for name in everything:
        await service.queue(name)
    for limit in (1, 3, 4, 5, 9, 10, 11, 1000):
        found = await names(service.root, f"/v1/queues?limit={limit}")
        assert [name for page in found for name in page] == everything
        assert len(found) == -(-len(everything) // limit)


async def test_an_empty_list_is_one_empty_page(service: Service) -> None:
    assert await names(service.root, "/v1/queues") == [[]]


async def test_nothing_is_skipped_or_repeated_when_the_list_changes_between_pages(service: Service) -> None:
    for name in "bdfh":
        await service.queue(name)
    first = (await service.root.get("/v1/queues?limit=2")).json()
    await service.root.delete("/v1/queues/d")
    await service.queue("a")
    second = (await service.root.get(f"/v1/queues?limit=2&cursor={first['next_cursor']}")).json()
    assert [item["name"] for item in second["items"]] == ["f", "h"]


async def test_queues_are_found_by_prefix_and_by_labels(service: Service) -> None:
    await service.queue("orders-eu", labels={"team": "a", "tier": "1"})
    await service.queue("orders-us", labels={"team": "a", "tier": "2"})
    await service.queue("orders~", labels={"note": "x:y"})
    await service.queue("other", labels={"team": "b"})
    assert await names(service.root, "/v1/queues?prefix=orders-&limit=1") == [["orders-eu"], ["orders-us"]]
    assert await names(service.root, "/v1/queues?prefix=orders~") == [["orders~"]]
    assert await names(service.root, "/v1/queues?label=team:a&limit=1") == [["orders-eu"], ["orders-us"]]
    assert await names(service.root, "/v1/queues?label=team:a&label=tier:2") == [["orders-us"]]
    assert await names(service.root, "/v1/queues?label=team:a&label=team:b") == [[]]
    assert await names(service.root, "/v1/queues?label=note:x:y&prefix=o") == [["orders~"]]


async def test_dead_letter_queues_can_be_listed_alone(service: Service) -> None:
    for name in ("aside", "dead-b", "dead-a", "dead-dead"):
        await service.queue(name)
    await service.queue("dead-a", dead_letter={"queue": "dead-dead", "max_receives": 3})
    for source, dead in {"one": "dead-a", "two": "dead-a", "three": "dead-b"}.items():
        await service.queue(source, dead_letter={"queue": dead, "max_receives": 3})
    await service.root.put("/v1/projects/other")
    other = {"Restante-Project": "other"}
    for name, letter in {"aside": None, "source": {"queue": "aside", "max_receives": 3}}.items():
        await service.root.put(f"/v1/queues/{name}", json={"dead_letter": letter}, headers=other)
    path = "/v1/queues?dead_letters=true"
    assert await names(service.root, f"{path}&limit=2") == [["dead-a", "dead-b"], ["dead-dead"]]
    assert await names(service.root, f"{path}&order=age&limit=2") == [["dead-a", "dead-b"], ["dead-dead"]]
    assert await names(service.root, f"{path}&search=-B") == [["dead-b"]]
    secret = await service.key("send", queues=["dead-d*", "o*"])
    async with service.client(secret) as client:
        assert await names(client, path) == [["dead-dead"]]
        assert await names(client, "/v1/queues?dead_letters=false") == [["dead-dead", "one"]]
    await service.queue("dead-a", dead_letter=None)
    assert await names(service.root, path) == [["dead-a", "dead-b"]]


async def test_a_key_with_patterns_sees_the_queues_it_covers(service: Service) -> None:
    for name in ("orders-1", "orders.2", "bills", "xorders-1"):
        await service.queue(name)
    secret = await service.key("send", queues=["orders-*", "bi*s"])
    async with service.client(secret) as client:
        assert await names(client, "/v1/queues?limit=1") == [["bills"], ["orders-1"]]
        assert (await client.get("/v1/queues/orders-1")).status_code == 200
        assert problem(await client.get("/v1/queues/orders.2"))[:2] == (403, "forbidden")
        assert problem(await client.get("/v1/queues/not-there"))[:2] == (403, "forbidden")


async def test_a_cursor_of_another_list_or_a_forged_one_is_refused(service: Service) -> None:
    for name in ("a", "b", "c"):
        await service.queue(name)
        await service.root.put(f"/v1/projects/{name}")
        await service.key("send")
    cursors = {
        path: (await service.root.get(f"{path}limit=1")).json()["next_cursor"]
        for path in ("/v1/queues?", "/v1/queues?prefix=a", "/v1/keys?", "/v1/projects?")
        if path != "/v1/queues?prefix=a"
    }
    genuine = cursors["/v1/queues?"]
    assert (await service.root.get(f"/v1/queues?cursor={genuine}")).status_code == 200
    forged = [
        "",
        "x",
        "====",
        "ü",
        genuine[:-1],
        genuine + "A",
        genuine + "=",
        ("B" if genuine[0] == "A" else "A") + genuine[1:],
        genuine.swapcase(),
        "A" * 3000,
    ]
    attempts = [f"/v1/queues?cursor={quote(cursor)}" for cursor in forged]
    attempts += [f"/v1/queues?cursor={cursors[other]}" for other in ("/v1/keys?", "/v1/projects?")]
    attempts += [
        f"/v1/queues?cursor={genuine}&prefix=b",
        f"/v1/queues?cursor={genuine}&label=a:b",
        f"/v1/queues?cursor={genuine}&dead_letters=true",
        f"/v1/keys?cursor={genuine}",
    ]
    for attempt in attempts:
        assert problem(await service.root.get(attempt))[:2] == (400, "malformed_request"), attempt
    await service.root.put("/v1/projects/other")
    answer = await service.root.get(f"/v1/queues?cursor={genuine}", headers={"Restante-Project": "other"})
    assert problem(answer)[:2] == (400, "malformed_request")


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("limit=0", "/query/limit"),
        ("limit=1001", "/query/limit"),
        ("limit=x", "/query/limit"),
        ("limt=3", "/query/limt"),
        ("prefix=%00", "/query/prefix"),
        ("dead_letters=x", "/query/dead_letters"),
        ("prefix=a%2Fb", "/query/prefix"),
        ("label=novalue", "/query/label/0"),
        ("label=a%00:b", "/query/label/0"),
    ],
)
async def test_a_wrong_query_is_refused(service: Service, query: str, pointer: str) -> None:
    status, code, errors = problem(await service.root.get(f"/v1/queues?{query}"))
    assert (status, code, [where for where, _ in errors]) == (422, "invalid_request", [pointer])


async def test_lists_carry_the_stats_of_each_queue(service: Service) -> None:
    for name, count in (("a", 2), ("b", 0), ("c", 5)):
        await messages(service.sql, await service.queue(name), count)
    items = (await service.root.get("/v1/queues")).json()["items"]
    assert [item["stats"]["ready"] for item in items] == [2, 0, 5]


async def test_a_page_looks_at_ten_thousand_queues_and_no_more(service: Service) -> None:
    await service.queue("zzz", labels={"wanted": "yes"})
    await service.sql.execute(
        "insert into queue select n, project_id, 'q' || to_char(n, 'FM000000'), n, 1, type, visibility_timeout, delay, "
        "retention, max_message_bytes, max_length, paused, '{}', created_at, updated_at "
        "from queue, generate_series(1, 10500) as n"
    )
    assert await names(service.root, "/v1/queues?label=wanted:yes") == [[], ["zzz"]]


async def test_projects_and_keys_are_listed_in_pages(service: Service) -> None:
    for name in ("p1", "p2", "p3"):
        await service.root.put(f"/v1/projects/{name}")
        await service.key("send", name=name)
    assert await names(service.root, "/v1/projects?limit=2") == [["default", "p1"], ["p2", "p3"]]
    found = await names(service.root, "/v1/keys?limit=2")
    assert sorted(name for page in found for name in page) == ["p1", "p2", "p3"]
    assert [len(page) for page in found] == [2, 1]


async def test_queues_are_found_by_a_part_of_their_name_whatever_the_case(service: Service) -> None:
    for name in ("Orders-eu", "my-orders", "bills", "a.b", "a-b", "a_b"):
        await service.queue(name)
    assert await names(service.root, "/v1/queues?search=oRDER&limit=1") == [["Orders-eu"], ["my-orders"]]
    assert await names(service.root, "/v1/queues?search=orders&prefix=my") == [["my-orders"]]
    assert await names(service.root, "/v1/queues?search=a_b") == [["a_b"]]
    assert await names(service.root, "/v1/queues?search=a.b") == [["a.b"]]
    for nothing in ("%25", "_%25", ".*", "%5C", "%27", "(", "%C3%A4", "%ff", " "):
        assert await names(service.root, f"/v1/queues?search={nothing}") == [[]]
    async with service.client(await service.key("send", queues=["my-*"])) as client:
        assert await names(client, "/v1/queues?search=orders") == [["my-orders"]]
    for wrong in ("search=%00", "search=" + "a" * 129, "search=a%0Ab", "order=size", "order="):
        for path in ("/v1/queues?", "/v1/queues?order=age&"):
            assert problem(await service.root.get(path + wrong))[:2] == (422, "invalid_request")


async def test_queues_by_age_begin_with_the_longest_wait_and_end_with_those_that_have_nothing_ready(
    service: Service,
) -> None:
    waits = {"young": 10, "same-2": 50, "same-1": 50, "old": 1000}
    numbers = {name: await service.queue(name) for name in (*waits, "empty", "delayed", "a-paused")}
    now = await service.sql.fetchval("select clock_timestamp()")
    for name, seconds in waits.items():
        at = f"'{now}'::timestamptz - interval '{seconds} s'"
        await messages(service.sql, numbers[name], 3, visible_at=f"{at} + n * interval '1 s'", urgency="9 - n % 2")
        await service.sql.execute("update queue set urgencies = '{8,9}' where name = $1", name)
    await messages(service.sql, numbers["delayed"], 1, visible_at="clock_timestamp() + interval '1 hour'")
    await messages(service.sql, numbers["a-paused"], 1, visible_at=f"'{now}'::timestamptz - interval '100 s'")
    await service.root.patch("/v1/queues/a-paused", json={"paused": True})
    ordered = ["old", "a-paused", "same-1", "same-2", "young", "delayed", "empty"]
    for limit in (1, 2, 3, 6, 7, 100):
        found = await names(service.root, f"/v1/queues?order=age&limit={limit}")
        assert [name for page in found for name in page] == ordered
        assert len(found) == -(-len(ordered) // limit)
    assert await names(service.root, "/v1/queues?order=age&search=same&limit=1") == [["same-1"], ["same-2"]]
    assert await names(service.root, "/v1/queues?order=age&prefix=same-") == [["same-1", "same-2"]]
    async with service.client(await service.key("send", queues=["same-1", "e*"])) as client:
        assert await names(client, "/v1/queues?order=age&limit=1") == [["same-1"], ["empty"]]


async def test_queues_by_age_are_found_by_their_labels(service: Service) -> None:
    for name in "abc":
        await service.queue(name, labels={"team": "x" if name > "a" else "y", "quote": '"\\'})
    assert await names(service.root, "/v1/queues?order=age&label=team:x&label=quote:%22%5C") == [["b", "c"]]
    assert await names(service.root, "/v1/queues?order=age&label=team:x&label=team:y") == [[]]


async def test_a_cursor_of_another_order_or_search_is_refused(service: Service) -> None:
    for name in ("aa", "ab"):
        await service.queue(name)
    for path in ("", "order=age&", "search=a&", "order=age&search=a&"):
        cursor = (await service.root.get(f"/v1/queues?{path}limit=1")).json()["next_cursor"]
        assert (await service.root.get(f"/v1/queues?{path}cursor={cursor}")).status_code == 200
        for other in {"", "order=age&", "search=a&", "order=age&search=a&", "search=b&"} - {path}:
            answer = await service.root.get(f"/v1/queues?{other}cursor={cursor}")
            assert problem(answer)[:2] == (400, "malformed_request")
