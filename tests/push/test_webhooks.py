"""Webhooks as their owners see them: what is set, shown, refused, and never shown again."""

from typing import Any

import pytest

from service.store.views import attempts
from tests.api.resources.test_queues import problem
from tests.in_process import Service

pytestmark = pytest.mark.anyio

W = "/v1/queues/q/webhooks/w"
URL = "https://example.com/hook?token=1"


async def put(service: Service, **fields: Any) -> Any:
    return await service.root.put(W, json={"url": URL, **fields})


async def test_a_webhook_is_made_with_its_secret_and_shown_without_it(service: Service) -> None:
    await service.queue()
    made = await put(service, headers={"X-Api-Key": "hidden"})
    assert made.status_code == 201
    assert made.json()["secret"].startswith("whsec_")
    found = (await service.root.get(W)).json()
    assert {**made.json(), "secret": None} == {**found, "secret": None}
    assert found == {
        "name": "w",
        "url": URL,
        "mode": "raw",
        "headers": {"X-Api-Key": None},
        "timeout": 15,
        "max_concurrency": 10,
        "rate_limit": None,
        "retry": {"delays": [5, 30, 120, 600, 1800, 3600, 7200, 14400, 28800], "jitter": 0.2},
        "on_exhausted": "dead_letter",
        "enabled": True,
        "state": "active",
        "state_reason": None,
        "until": None,
        "success_rate": None,
        "latency": None,
        "created_at": found["created_at"],
        "updated_at": found["updated_at"],
    }
    assert "hidden" not in (await service.root.get(W)).text


async def test_a_second_put_gives_it_the_whole_configuration_and_keeps_its_secret(service: Service) -> None:
    await service.queue()
    await put(service, timeout=30)
    before = await service.sql.fetchval("select sealed from webhook")
    again = await put(service, mode="envelope")
    assert (again.status_code, again.json()["timeout"], again.json()["mode"]) == (200, 15, "envelope")
    assert "secret" not in again.json()
    patched = await service.root.patch(W, json={"enabled": False, "mode": None, "retry": {"delays": []}})
    shown = patched.json()
    assert (shown["enabled"], shown["mode"], shown["state"]) == (False, "raw", "disabled")
    assert shown["retry"] == {"delays": [], "jitter": 0.2}
    assert before != await service.sql.fetchval("select sealed from webhook")


async def test_what_is_secret_is_encrypted_where_it_is_kept(service: Service) -> None:
    await service.queue()
    made = await put(service, headers={"X-Api-Key": "top-secret-value"})
    row = str(await service.sql.fetchrow("select webhook::text from webhook"))
    sealed = await service.sql.fetchval("select sealed from webhook")
    for text in ("top-secret-value", made.json()["secret"], made.json()["secret"][6:30]):
        assert text not in row
        assert text.encode() not in sealed


async def test_webhooks_are_listed_a_page_at_a_time_and_go_with_their_queue(service: Service) -> None:
    await service.queue()
    for name in "cab":
        await service.root.put(f"/v1/queues/q/webhooks/{name}", json={"url": URL})
    first = (await service.root.get("/v1/queues/q/webhooks?limit=2")).json()
    rest = await service.root.get("/v1/queues/q/webhooks", params={"limit": 2, "cursor": first["next_cursor"]})
    assert [webhook["name"] for webhook in (*first["items"], *rest.json()["items"])] == ["a", "b", "c"]
    assert (await service.root.delete("/v1/queues/q/webhooks/a")).status_code == 204
    assert problem(await service.root.delete("/v1/queues/q/webhooks/a"))[:2] == (404, "webhook_not_found")
    assert (await service.root.delete("/v1/queues/q")).status_code == 204
    assert problem(await service.root.get("/v1/queues/q/webhooks/b"))[:2] == (404, "queue_not_found")
    assert await service.sql.fetchval("select count(*) from webhook") == 0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("mode", "xml"),
        ("timeout", 0),
        ("timeout", 121),
        ("max_concurrency", 0),
        ("max_concurrency", 1001),
        ("max_concurrency", 1.5),
        ("rate_limit", 0),
        ("rate_limit", 5e-324),
        ("retry", {"delays": [-1]}),
        ("retry", {"delays": [1] * 1001}),
        ("retry", {"jitter": 1.1}),
        ("retry", {"delay": [1]}),
        ("on_exhausted", "forget"),
        ("enabled", "yes"),
        ("secret", "whsec_c2hvcnQ="),
        ("secret", "not one"),
        ("secret", "whsec_" + "A" * 100),
        ("headers", {"Host": "a"}),
        ("headers", {"webhook-id": "a"}),
        ("headers", {"Proxy-Authorization": "a"}),
        ("headers", {"Metadata-Flavor": "Google"}),
        ("headers", {"X": "a\r\nb"}),
        ("headers", {"X": "\u00e4"}),
        ("headers", {"X Y": "a"}),
        ("headers", {"X": "1", "x": "2"}),
        ("headers", {str(number): "" for number in range(51)}),
        ("url", ""),
        ("url", "https://example.com/" + "a" * 2048),
        ("url", 1),
        ("color", "red"),
    ],
)
async def test_what_is_out_of_range_is_refused_with_its_field(service: Service, field: str, value: Any) -> None:
    await service.queue()
    status, code, [(pointer, _)] = problem(await put(service, **{field: value}))
    assert (status, code) == (422, "invalid_request")
    assert pointer.startswith(f"/{field}")
    assert (await service.root.get("/v1/queues/q/webhooks")).json()["items"] == []


async def test_a_key_without_manage_sees_no_webhook(service: Service) -> None:
    await service.queue()
    await put(service)
    async with service.client(await service.key("send", "receive", "browse")) as client:
        assert problem(await client.get(W))[:2] == (403, "forbidden")
        assert problem(await client.put(W, json={"url": URL}))[:2] == (403, "forbidden")
        assert (await client.get(f"{W}/attempts")).json()["items"] == []


async def test_what_depends_on_a_webhook_being_as_it_was_says_when_it_is_not(service: Service) -> None:
    await service.queue()
    made = await service.root.put(W, json={"url": URL}, headers={"If-None-Match": "*"})
    tag = made.headers["etag"]
    assert (await service.root.get(W)).headers["etag"] == tag
    assert (await service.root.get(W, headers={"If-None-Match": tag})).status_code == 304
    again = await service.root.put(W, json={"url": URL}, headers={"If-None-Match": "*"})
    assert problem(again)[:2] == (412, "precondition_failed")
    changed = await service.root.patch(W, json={"timeout": 30}, headers={"If-Match": tag})
    assert changed.headers["etag"] != tag
    for answer in (
        await service.root.patch(W, json={"timeout": 40}, headers={"If-Match": tag}),
        await service.root.put(W, json={"url": URL}, headers={"If-Match": tag}),
        await service.root.delete(W, headers={"If-Match": tag}),
    ):
        assert problem(answer)[:2] == (412, "precondition_failed")
    assert (await service.root.get(W)).json()["timeout"] == 30
    assert (await service.root.delete(W, headers={"If-Match": changed.headers["etag"]})).status_code == 204


async def test_a_url_has_no_default_that_null_could_set(service: Service) -> None:
    await service.queue()
    await put(service)
    for url in (None, ""):
        answer = await service.root.patch(W, json={"url": url, "timeout": 40})
        [error] = answer.json()["errors"]
        assert (answer.status_code, error["pointer"]) == (422, "/url")
    assert (await service.root.get(W)).json()["timeout"] != 40
    assert (await service.root.patch(W, json={"timeout": 40})).json()["url"] == URL


async def test_the_same_put_again_changes_nothing(service: Service) -> None:
    await service.queue()
    made = (await put(service, timeout=30)).json()
    assert (await put(service, timeout=30)).json()["updated_at"] == made["updated_at"]
    assert (await put(service, timeout=31)).json()["updated_at"] > made["updated_at"]


async def test_under_another_secret_key_a_webhook_says_why_it_cannot_be_read_and_can_be_deleted(
    service: Service,
) -> None:
    await service.queue()
    await put(service)
    await service.sql.execute("update webhook set sealed = sealed || 'x'::bytea")
    for answer in (await service.root.get(W), await put(service), await service.root.get("/v1/queues/q/webhooks")):
        assert problem(answer)[:2] == (409, "conflict")
        assert "RESTANTE_SECRET_KEY" in answer.json()["detail"]
    assert (await service.root.delete(W)).status_code == 204


async def test_webhooks_of_all_queues_are_listed_by_queue_and_name_and_by_state(service: Service) -> None:
    for queue in ("b", "a", "other"):
        await service.root.put(f"/v1/queues/{queue}")
        for name in ("w1", "w2"):
            await service.root.put(f"/v1/queues/{queue}/webhooks/{name}", json={"url": URL})
    await service.root.patch("/v1/queues/b/webhooks/w1", json={"enabled": False})
    await pause(service, "a", "w2", "circuit_open")
    await pause(service, "other", "w1", "retry_after")
    await service.root.put("/v1/projects/acme")
    await service.root.put("/v1/queues/theirs", headers={"Restante-Project": "acme"})
    await service.root.put("/v1/queues/theirs/webhooks/w", json={"url": URL}, headers={"Restante-Project": "acme"})

    async def listed(**query: Any) -> list[str]:
        page = (await service.root.get("/v1/webhooks", params=query)).json()
        names = [f"{item['queue']}/{item['name']}" for item in page["items"]]
        more = await listed(**query | {"cursor": page["next_cursor"]}) if page["next_cursor"] else []
        return names + more

    everything = ["a/w1", "a/w2", "b/w1", "b/w2", "other/w1", "other/w2"]
    assert await listed() == await listed(limit=1) == await listed(limit=4) == everything
    assert await listed(state="disabled") == ["b/w1"]
    assert await listed(state="circuit_open") == ["a/w2"]
    assert await listed(state="paused") == ["other/w1"]
    assert await listed(state="active", limit=2) == ["a/w1", "b/w2", "other/w2"]
    for state in ("disabled", "circuit_open", "paused", "active"):
        page = (await service.root.get("/v1/webhooks", params={"state": state})).json()
        assert {item["state"] for item in page["items"]} == {state}
    async with service.client(await service.key("manage", queues=["b*"])) as bound:
        assert [item["queue"] for item in (await bound.get("/v1/webhooks")).json()["items"]] == ["b", "b"]
    assert (await service.root.get("/v1/webhooks", params={"state": "well"})).status_code == 422
    assert (await service.root.get("/v1/webhooks", params={"cursor": "x"})).status_code == 400


async def test_a_circuit_stays_open_until_a_success_closes_it(service: Service) -> None:
    await service.queue()
    await put(service)
    await pause(service, "q", "w", "circuit_open")
    before = (await service.root.get(W)).json()
    assert (before["state"], before["state_reason"]) == ("circuit_open", "circuit_open")
    await service.sql.execute("update webhook set open_until = clock_timestamp(), last_error = 'answered 500'")
    found = (await service.root.get(W)).json()
    assert (found["state"], found["state_reason"], found["until"]) == ("circuit_open", "answered 500", None)
    for state, listed in {"circuit_open": 1, "active": 0, "paused": 0, "disabled": 0}.items():
        page = (await service.root.get("/v1/webhooks", params={"state": state})).json()
        assert len(page["items"]) == listed, state
        assert (await service.root.get("/v1/overview")).json()["webhooks"][state] == listed
        metric = f'restante_webhooks{{state="{state}"}} {listed}.0'
        assert metric in (await service.root.get("/metrics")).text, state
    await pause(service, "q", "w", "retry_after")
    assert (await service.root.get(W)).json()["state"] == "paused"


async def test_a_list_of_many_webhooks_looks_at_a_bounded_number_of_attempts(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    await service.queue()
    for name in ("a", "b"):
        await service.root.put(f"/v1/queues/q/webhooks/{name}", json={"url": URL})
    await service.sql.execute(
        """
        insert into attempt (queue_id, webhook_id, id, message_id, number, started_at, duration, succeeded, excerpt)
        select queue_id, id, lpad(to_hex(n), 32, '0')::uuid, gen_random_uuid(), 1, now(), '1 s', n <= 3, ''
        from webhook, generate_series(1, 4) as n
        """
    )
    assert (await service.root.get("/v1/queues/q/webhooks/a")).json()["success_rate"] == 0.75
    monkeypatch.setattr(attempts, "_LOOKED_AT", 4)
    for path in ("/v1/webhooks", "/v1/queues/q/webhooks"):
        assert [one["success_rate"] for one in (await service.root.get(path)).json()["items"]] == [0.5, 0.5]


async def pause(service: Service, queue: str, name: str, reason: str) -> None:
    await service.sql.execute(
        "update webhook set "
        "paused_until = case when $3 <> 'circuit_open' then clock_timestamp() + interval '1 hour' end, "
        "open_until = case when $3 = 'circuit_open' then clock_timestamp() + interval '1 hour' end, "
        "openings = ($3 = 'circuit_open')::integer "
        "from queue where queue.id = webhook.queue_id and queue.name = $1 and webhook.name = $2",
        queue,
        name,
        reason,
    )
