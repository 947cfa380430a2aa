"""Projects over HTTP."""

import asyncio

import pytest

from tests.api.resources.test_queues import problem
from tests.in_process import Service, messages

pytestmark = pytest.mark.anyio


async def test_a_project_is_made_once_and_stays_as_it_is(service: Service) -> None:
    made = await service.root.put("/v1/projects/shop")
    assert made.status_code == 201
    assert made.json().keys() == {"name", "limits", "use", "created_at", "updated_at"}
    for method, body in (("PUT", {}), ("PATCH", {}), ("GET", None)):
        answer = await service.root.request(method, "/v1/projects/shop", json=body)
        assert (answer.status_code, answer.json()) == (200, made.json())


@pytest.mark.parametrize("name", [".", "a b", "a%00", "n" * 129, "-x"])
async def test_a_name_that_is_none_is_refused(service: Service, name: str) -> None:
    status, code, errors = problem(await service.root.put(f"/v1/projects/{name}"))
    assert (status, code, errors) in (
        (422, "invalid_request", [("/path/project", "invalid_name")]),
        (405, "method_not_allowed", []),
    )


async def test_an_unknown_field_is_refused(service: Service) -> None:
    for method in ("PUT", "PATCH"):
        answer = await service.root.request(method, "/v1/projects/shop", json={"limit": {}})
        assert problem(answer) == (422, "invalid_request", [("/limit", "unknown_field")])
    assert (await service.root.get("/v1/projects/shop")).status_code == 404


async def test_a_project_that_is_not_there_is_told_so(service: Service) -> None:
    for method, body in (("GET", None), ("PATCH", {}), ("DELETE", None)):
        answer = await service.root.request(method, "/v1/projects/none", json=body)
        assert problem(answer)[:2] == (404, "project_not_found")


async def test_a_project_with_queues_is_deleted_only_by_force_and_then_all_of_it(service: Service) -> None:
    await service.root.put("/v1/projects/shop")
    inside = {"Restante-Project": "shop"}
    for name in ("a", "b"):
        await service.root.put(f"/v1/queues/{name}", headers=inside)
    numbers = [row["number"] for row in await service.sql.fetch("select number from queue order by number")]
    await messages(service.sql, numbers[0], 3)
    secret = (await service.root.post("/v1/keys", json={"name": "k", "scopes": ["admin"]}, headers=inside)).json()[
        "secret"
    ]
    assert problem(await service.root.delete("/v1/projects/shop"))[:2] == (409, "conflict")
    assert problem(await service.root.delete("/v1/projects/shop?force=maybe"))[:2] == (422, "invalid_request")
    async with service.client(secret) as client:
        assert (await client.get("/v1/queues/a")).status_code == 200
        assert (await service.root.delete("/v1/projects/shop?force=true")).status_code == 204
        assert problem(await client.get("/v1/queues/a"))[:2] == (401, "unauthenticated")
    assert problem(await service.root.get("/v1/queues", headers=inside))[:2] == (404, "project_not_found")
    retired = await service.sql.fetch("select number from retired_queue order by number")
    assert [row["number"] for row in retired] == numbers
    assert (await service.root.put("/v1/projects/shop")).status_code == 201
    assert (await service.root.get("/v1/queues", headers=inside)).json()["items"] == []


async def test_a_project_is_deleted_only_as_the_client_has_seen_it(service: Service) -> None:
    stale = (await service.root.put("/v1/projects/shop")).headers["etag"]
    fresh = (await service.root.patch("/v1/projects/shop", json={"limits": {"queues": 3}})).headers["etag"]
    assert fresh != stale
    for headers in ({"If-Match": stale}, {"If-None-Match": "*"}, {"If-None-Match": fresh}):
        answer = await service.root.delete("/v1/projects/shop?force=true", headers=headers)
        assert problem(answer)[:2] == (412, "precondition_failed")
    assert (await service.root.delete("/v1/projects/shop", headers={"If-Match": fresh})).status_code == 204
    answer = await service.root.delete("/v1/projects/shop", headers={"If-Match": fresh})
    assert problem(answer)[:2] == (404, "project_not_found")


async def test_the_default_project_comes_back_when_it_is_used(service: Service) -> None:
    assert (await service.root.delete("/v1/projects/default")).status_code == 204
    assert (await service.root.put("/v1/queues/q")).status_code == 201
    assert (await service.root.get("/v1/projects/default")).status_code == 200


async def test_nothing_is_made_in_a_project_that_is_gone(service: Service) -> None:
    await service.root.put("/v1/projects/shop")
    inside = {"Restante-Project": "shop"}
    secret = (await service.root.post("/v1/keys", json={"name": "k", "scopes": ["admin"]}, headers=inside)).json()[
        "secret"
    ]
    async with service.client(secret) as client:
        assert (await client.get("/v1/whoami")).status_code == 200
        await service.sql.execute("delete from project where name = 'shop'")
        assert problem(await client.put("/v1/queues/q"))[:2] == (404, "project_not_found")
        answer = await client.post("/v1/keys", json={"name": "k", "scopes": ["send"]})
        assert problem(answer)[:2] == (404, "project_not_found")


async def test_a_project_shows_what_it_has_and_how_much_of_its_limits_that_is(service: Service) -> None:
    shop = {"Restante-Project": "shop"}
    made = await service.root.put("/v1/projects/shop", json={"limits": {"messages": 100, "bytes": 10_000}})
    assert made.json()["use"] == {"queues": 0, "messages": None, "bytes": None, "counted_at": None, "sent": 0}
    for queue in ("a", "b"):
        await service.root.put(f"/v1/queues/{queue}", headers=shop)
    async with asyncio.timeout(20):
        # Both are counted in the background, the one while something is sent.
        while not (use := (await service.root.get("/v1/projects/shop")).json()["use"])["messages"] or not use["sent"]:
            await service.root.post("/v1/queues/a/messages", json={"body": 1}, headers=shop)
            await asyncio.sleep(0.2)
    assert use["queues"] == 2
    assert use["bytes"] == use["messages"] <= 100
    assert use["counted_at"] is not None
    listed = (await service.root.get("/v1/projects")).json()["items"]
    assert {project["name"]: project["use"]["queues"] for project in listed} == {"default": 0, "shop": 2}
