"""Every operation, asked by everybody. The list of them is the OpenAPI document's, so a new one is not forgotten."""

import json
from typing import Any

import httpx
import pytest

from service.main import openapi_document
from tests.api.resources.test_queues import problem
from tests.in_process import ROOT_KEY, Service

pytestmark = pytest.mark.anyio

ANY = {"send", "receive", "browse", "manage", "grant", "admin"}
ALLOWED = {
    "put_queue": {"manage", "admin"},
    "patch_queue": {"manage", "admin"},
    "get_queue": ANY,
    "delete_queue": {"manage", "admin"},
    "purge_queue": {"manage", "admin"},
    "list_queues": ANY,
    "get_queue_activity": ANY,
    "get_activity": ANY,
    "get_overview": ANY,
    "list_dead_letters": {"browse", "admin"},
    "list_consumers": {"browse", "admin"},
    "list_queue_subscriptions": ANY,
    "delete_message": {"manage", "admin"},
    "list_messages": {"browse", "admin"},
    "get_message": {"browse", "admin"},
    "list_groups": {"browse", "admin"},
    "act_on_messages": {"manage", "admin"},
    "redrive_queue": {"manage", "admin"},
    "put_webhook": {"manage", "admin"},
    "patch_webhook": {"manage", "admin"},
    "get_webhook": {"manage", "admin"},
    "delete_webhook": {"manage", "admin"},
    "list_webhooks": {"manage", "admin"},
    "list_project_webhooks": {"manage", "admin"},
    "rotate_webhook_secret": {"manage", "admin"},
    "resume_webhook": {"manage", "admin"},
    "test_webhook": {"manage", "admin"},
    "retry_webhook": {"manage", "admin"},
    "list_webhook_attempts": {"browse", "admin"},
    "list_message_attempts": {"browse", "admin"},
    "put_topic": {"manage", "admin"},
    "patch_topic": {"manage", "admin"},
    "get_topic": ANY,
    "delete_topic": {"manage", "admin"},
    "list_topics": ANY,
    "put_subscription": {"manage", "admin"},
    "get_subscription": ANY,
    "delete_subscription": {"manage", "admin"},
    "list_subscriptions": ANY,
    "stream_events": {"receive", "admin"},
    "publish_message": {"send", "admin"},
    "publish_batch": {"send", "admin"},
    "match_message": {"manage", "admin"},
    "get_task": {"manage", "admin"},
    "cancel_task": {"manage", "admin"},
    "list_tasks": {"manage", "admin"},
    "put_project": set[str](),
    "patch_project": set[str](),
    "get_project": set[str](),
    "delete_project": set[str](),
    "list_projects": set[str](),
    "create_key": {"grant", "admin"},
    "list_keys": {"admin"},
    "delete_key": {"grant", "admin"},
    "whoami": ANY,
    "get_limits": ANY,
    "find_message": {"browse", "admin"},
    "get_defaults": ANY,
    "send_message": {"send", "admin"},
    "send_batch": {"send", "admin"},
    "send_raw": {"send", "admin"},
    "receive_messages": {"receive", "admin"},
    "delete_receipt": {"receive", "admin"},
    "extend_receipt": {"receive", "admin"},
    "release_receipt": {"receive", "admin"},
    "reject_receipt": {"receive", "admin"},
    "settle_receipts": {"receive", "admin"},
    # Takes both send and receive, so that no single one is enough.
    "commit_transaction": {"admin"},
}
OPERATIONS = [
    (operation["operationId"], method.upper(), path)
    for path, methods in json.loads(openapi_document())["paths"].items()
    for method, operation in methods.items()
    if path.startswith("/v1/")
]


def test_who_may_call_it_is_written_here_for_every_operation() -> None:
    assert {operation_id for operation_id, _, _ in OPERATIONS} == ALLOWED.keys()


# What an operation must be given to look at its queue at all.
_BODIES = {"put_webhook": {"url": "https://example.com/"}, "put_subscription": {"queue": "other-q"}}


async def ask(client: httpx.AsyncClient, method: str, path: str, **options: Any) -> httpx.Response:
    names = {"queue": "q", "topic": "t", "subscription": "s", "webhook": "w", "project": "p"}
    filled = path.format(**names, key="k", receipt="r", message_id="m", task_id="t")
    return await client.request(method, filled, **options)


async def test_without_a_valid_key_every_operation_gives_the_same_answer(service: Service) -> None:
    revoked = await service.key("admin")
    await service.sql.execute("delete from api_key")
    expired = await service.key("admin")
    await service.sql.execute("update api_key set expires_at = now()")
    details = set()
    for secret in (None, "x", "wrong", f"{ROOT_KEY}x", revoked, expired, revoked[:-1] + "A"):
        async with service.client(secret) as client:
            for _, method, path in OPERATIONS:
                answer = await ask(client, method, path, content=b"not even json")
                assert problem(answer)[:2] == (401, "unauthenticated")
                assert answer.headers["www-authenticate"] == "Bearer"
                details.add(answer.json()["detail"])
    assert len(details) == 1


@pytest.mark.parametrize("scope", sorted(ANY))
async def test_a_key_may_do_what_its_scope_allows_and_nothing_else(service: Service, scope: str) -> None:
    async with service.client(await service.key(scope)) as client:
        for operation_id, method, path in OPERATIONS:
            answer = await ask(client, method, path, content=b"[]")
            if scope in ALLOWED[operation_id]:
                assert answer.status_code not in {401, 403}, operation_id
            else:
                assert problem(answer)[:2] == (403, "forbidden"), operation_id


async def test_a_key_bound_to_other_queues_touches_none_of_these(service: Service) -> None:
    async with service.client(await service.key("admin", queues=["other-*"])) as client:
        for operation_id, method, path in OPERATIONS:
            if "{queue}" in path or "{topic}" in path:
                body = _BODIES.get(operation_id, {})
                assert problem(await ask(client, method, path, json=body))[:2] == (403, "forbidden"), operation_id


async def test_what_lies_in_another_project_does_not_exist(service: Service) -> None:
    await service.root.put("/v1/projects/other")
    for_other = {"Restante-Project": "other"}
    await service.root.put("/v1/queues/secret-queue", headers=for_other)
    key_id = (await service.root.post("/v1/keys", json={"name": "k", "scopes": ["send"]}, headers=for_other)).json()[
        "id"
    ]
    async with service.client(await service.key("admin")) as client:
        for method, path in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/purge")):
            answer = await client.request(method, f"/v1/queues/secret-queue{path}")
            assert problem(answer)[:2] == (404, "queue_not_found")
        assert problem(await client.delete(f"/v1/keys/{key_id}"))[:2] == (404, "key_not_found")
        assert (await client.get("/v1/queues")).json()["items"] == []
        for name in ("other", "none"):
            answer = await client.get("/v1/queues", headers={"Restante-Project": name})
            assert problem(answer)[:2] == (403, "forbidden")
            assert "other" not in answer.json()["detail"].replace("another", "")
        assert (await client.put("/v1/queues/secret-queue")).status_code == 201
    assert len((await service.root.get("/v1/queues", headers=for_other)).json()["items"]) == 1


async def test_the_root_key_in_a_project_that_is_not_there(service: Service) -> None:
    for _, method, path in OPERATIONS:
        if "/projects" not in path:
            answer = await ask(service.root, method, path, headers={"Restante-Project": "none"}, json={})
            assert problem(answer)[:2] == (404, "project_not_found")
