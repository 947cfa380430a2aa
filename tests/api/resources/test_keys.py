"""Keys over HTTP, and what a key is told of itself."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from service.auth.keys import SECRET_PATTERN
from tests.api.resources.test_queues import problem
from tests.in_process import Service

pytestmark = pytest.mark.anyio


async def test_a_key_is_shown_with_its_secret_once(service: Service) -> None:
    fields = {
        "name": "worker",
        "scopes": ["receive", "send", "send"],
        "queues": ["a-*"],
        "expires_at": "2100-01-01T01:00:00+01:00",
    }
    made = await service.root.post("/v1/keys", json=fields)
    assert made.status_code == 201
    key = made.json()
    secret = key.pop("secret")
    assert re.fullmatch(SECRET_PATTERN, secret)
    assert key == {
        "id": key["id"],
        "name": "worker",
        "scopes": ["receive", "send"],
        "queues": ["a-*"],
        "expires_at": "2100-01-01T00:00:00.000000Z",
        "created_at": key["created_at"],
        "last_used_at": None,
    }
    listed = await service.root.get("/v1/keys")
    assert listed.json()["items"] == [key]
    assert secret not in listed.text
    assert secret.encode() not in await service.sql.fetchval("select secret_hash from api_key")


@pytest.mark.parametrize(
    ("fields", "pointer", "code"),
    [
        ({"name": ""}, "/name", "out_of_range"),
        ({"name": "n" * 129}, "/name", "out_of_range"),
        ({"name": "a\x00"}, "/name", "wrong_form"),
        ({"name": 1}, "/name", "wrong_type"),
        ({"scopes": []}, "/scopes", "out_of_range"),
        ({"scopes": ["all"]}, "/scopes/0", "not_allowed"),
        ({"scopes": "send"}, "/scopes", "wrong_type"),
        ({"queues": []}, "/queues", "out_of_range"),
        ({"queues": ["a", "b/c"]}, "/queues/1", "wrong_form"),
        ({"queues": ["[a-z]"]}, "/queues/0", "wrong_form"),
        ({"queues": None}, "/queues", "wrong_type"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "/expires_at", "out_of_range"),
        ({"expires_at": "2100-01-01T00:00:00"}, "/expires_at", "wrong_form"),
        ({"expires_at": "2100-02-30T00:00:00Z"}, "/expires_at", "wrong_form"),
        ({"expires_at": "9999-12-31T23:59:59-01:00"}, "/expires_at", "wrong_form"),
        ({"expires_at": "2100-01-01"}, "/expires_at", "wrong_form"),
        ({"expires_at": 4102444800}, "/expires_at", "wrong_form"),
        ({"secret": "x"}, "/secret", "unknown_field"),
    ],
)
async def test_a_wrong_field_is_named_and_nothing_is_stored(
    service: Service, fields: dict[str, Any], pointer: str, code: str
) -> None:
    answer = await service.root.post("/v1/keys", json={"name": "k", "scopes": ["send"]} | fields)
    assert problem(answer) == (422, "invalid_request", [(pointer, code)])
    assert await service.sql.fetchval("select count(*) from api_key") == 0


async def test_what_is_required_is_asked_for(service: Service) -> None:
    for body in (b"", b"{}"):
        answer = await service.root.post("/v1/keys", content=body)
        assert problem(answer) == (422, "invalid_request", [("/name", "missing"), ("/scopes", "missing")])


async def test_a_key_can_make_none_that_opens_more(service: Service) -> None:
    secret = await service.key("admin", queues=["orders-*", "bills"])
    async with service.client(secret) as client:
        for queues, status in (
            (["*"], 403),
            (["orders-*", "x"], 403),
            (["o*"], 403),
            (["*-orders-*"], 403),
            (["orders-*"], 201),
            (["orders-eu-*", "orders-*-x", "bills"], 201),
        ):
            answer = await client.post("/v1/keys", json={"name": "k", "scopes": ["send"], "queues": queues})
            assert answer.status_code == status, queues


def hours(count: float) -> str:
    return (datetime.now(UTC) + timedelta(hours=count)).isoformat()


async def test_a_key_that_grants_makes_keys_for_less_that_end_within_a_day(service: Service) -> None:
    granter = await service.key("grant", "send", "receive", queues=["tab-*", "shared"], expires_at=hours(100))
    ends = hours(23.9)
    async with service.client(granter) as client:
        for scopes, queues, expires_at, refused in (
            (["send"], ["tab-1"], ends, None),
            (["send", "receive"], ["tab-*", "shared"], hours(0.1), None),
            (["browse"], ["tab-1"], ends, (403, "forbidden")),
            (["manage"], ["tab-1"], ends, (403, "forbidden")),
            (["admin"], ["tab-1"], ends, (403, "forbidden")),
            (["send", "grant"], ["tab-1"], ends, (403, "forbidden")),
            (["send"], ["*"], ends, (403, "forbidden")),
            (["send"], ["other"], ends, (403, "forbidden")),
            (["send"], ["tab-1"], None, (422, "invalid_request")),
            (["send"], ["tab-1"], hours(24.1), (422, "invalid_request")),
        ):
            fields = {"name": "page", "scopes": scopes, "queues": queues, "expires_at": expires_at}
            answer = await client.post("/v1/keys", json=fields)
            if refused is None:
                assert answer.status_code == 201, answer.text
            else:
                assert problem(answer)[:2] == refused, fields
        assert problem(await client.get("/v1/keys"))[:2] == (403, "forbidden")
        assert problem(await client.put("/v1/queues/tab-1"))[:2] == (403, "forbidden")
    soon = await service.key("grant", "send", expires_at=hours(1))
    async with service.client(soon) as client:
        for expires_at, status in ((hours(0.9), 201), (hours(1.1), 422)):
            fields = {"name": "page", "scopes": ["send"], "expires_at": expires_at}
            assert (await client.post("/v1/keys", json=fields)).status_code == status


async def test_a_granted_key_opens_what_it_says_and_nothing_more(service: Service) -> None:
    await service.queue("tab-1")
    async with service.client(await service.key("grant", "send", queues=["tab-*"])) as client:
        fields = {"name": "page", "scopes": ["send"], "queues": ["tab-1"], "expires_at": hours(1)}
        secret = (await client.post("/v1/keys", json=fields)).json()["secret"]
    async with service.client(secret) as page:
        assert (await page.post("/v1/queues/tab-1/messages", json={"body": 1})).status_code == 201
        assert problem(await page.post("/v1/queues/tab-1/messages/receive"))[0] == 403
        assert problem(await page.post("/v1/keys", json=fields))[0] == 403


async def test_a_key_that_grants_revokes_what_it_could_have_made_and_no_other(service: Service) -> None:
    async def made(*scopes: str, **fields: Any) -> str:
        answer = await service.root.post("/v1/keys", json={"name": "k", "scopes": list(scopes), **fields})
        return str(answer.json()["id"])

    granter = await service.key("grant", "send", queues=["tab-*"])
    async with service.client(granter) as client:
        for key_id, status in (
            (await made("send", queues=["tab-1"], expires_at=hours(1)), 204),
            (await made("send", queues=["tab-1"]), 403),
            (await made("send", queues=["tab-1"], expires_at=hours(25)), 403),
            (await made("send", expires_at=hours(1)), 403),
            (await made("receive", queues=["tab-1"], expires_at=hours(1)), 403),
            (await made("grant", queues=["tab-1"], expires_at=hours(1)), 403),
            ("0" * 32, 404),
        ):
            assert (await client.delete(f"/v1/keys/{key_id}")).status_code == status


async def test_a_deleted_key_is_gone(service: Service) -> None:
    await service.key("send")
    key_id = (await service.root.get("/v1/keys")).json()["items"][0]["id"]
    for name in ("nonsense", "0" * 32, key_id[:-1], "%00", key_id + "0"):
        assert problem(await service.root.delete(f"/v1/keys/{name}"))[:2] == (404, "key_not_found")
    assert (await service.root.delete(f"/v1/keys/{key_id}")).status_code == 204
    assert problem(await service.root.delete(f"/v1/keys/{key_id}"))[:2] == (404, "key_not_found")
    assert (await service.root.get("/v1/keys")).json()["items"] == []


async def test_a_key_learns_what_it_is(service: Service) -> None:
    root = (await service.root.get("/v1/whoami")).json()
    assert (root["project"], root["key_id"], root["queues"], root["expires_at"]) == ("default", None, ["*"], None)
    assert set(root["scopes"]) == {"send", "receive", "browse", "manage", "grant", "admin"}
    secret = await service.key("send", queues=["a*"], expires_at="2100-01-01T00:00:00Z")
    async with service.client(secret, **{"Restante-Project": "default"}) as client:
        me = (await client.get("/v1/whoami")).json()
    assert me == {
        "project": "default",
        "key_id": me["key_id"],
        "scopes": ["send"],
        "queues": ["a*"],
        "expires_at": "2100-01-01T00:00:00.000000Z",
    }


async def test_two_keys_in_one_request_are_none(service: Service) -> None:
    secret = await service.key("send")
    headers = [("Authorization", f"Bearer {secret}"), ("Authorization", f"Bearer {secret}")]
    async with service.client(None) as client:
        assert problem(await client.get("/v1/whoami", headers=headers))[0] == 401
    names = [("Restante-Project", "default"), ("Restante-Project", "other")]
    assert problem(await service.root.get("/v1/whoami", headers=names))[0] == 400
    receive = "/v1/queues/q/messages/receive"
    async with service.client(None) as client:
        assert problem(await client.post(receive, headers=headers))[0] == 401
    assert problem(await service.root.post(receive, headers=names))[0] == 400


async def test_every_limit_in_force_is_published(service: Service) -> None:
    limits = (await service.root.get("/v1/limits")).json()
    assert limits["max_message_bytes"] == 1048576
    assert limits["max_request_bytes"] == 8388608
    assert limits["max_wait_seconds"] == 60
    project = limits.pop("project")
    assert all(isinstance(value, int) and value > 0 for value in limits.values())
    assert set(project.values()) == {None}
