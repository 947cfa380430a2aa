"""A project in which every name has the maximum length, for tests of the layout."""

import json
import re
from typing import Any

import httpx
from playwright.sync_api import Page, Route

# A browser cannot break the line anywhere in it.
NAME = "a" + "W" * 127
_COUNTS = re.compile(
    r"ready|delayed|leased|total|sent|received|deleted|moved|skipped|remaining|messages|growth|attempts|dead_letters"
)
_MILLIONS = 123_456_789


def fill(client: httpx.Client) -> None:
    """Create a queue, a dead-letter queue, a topic, a webhook and a key with long names, and messages between them."""
    dead, fifo = f"{NAME[:-1]}d", f"{NAME[:-1]}f"
    client.put(f"/v1/queues/{dead}").raise_for_status()
    labels = {f"{n}{NAME[:62]}": NAME[:63] for n in range(5)}
    config = {"dead_letter": {"queue": dead, "max_receives": 3}, "labels": labels}
    client.put(f"/v1/queues/{NAME}", json=config).raise_for_status()
    client.put(f"/v1/queues/{fifo}", json={"type": "fifo"}).raise_for_status()
    client.put(f"/v1/topics/{NAME}").raise_for_status()
    subscription = {"queue": NAME, "filter": {"headers": {NAME: [NAME]}}}
    client.put(f"/v1/topics/{NAME}/subscriptions/{NAME}", json=subscription).raise_for_status()
    message = {"body": NAME, "headers": {NAME: NAME * 4}, "group": NAME}
    client.post(f"/v1/topics/{NAME}/messages", json=message | {"headers": {NAME: NAME}}).raise_for_status()
    client.post(f"/v1/queues/{NAME}/messages/batch", json={"messages": [message] * 8}).raise_for_status()
    for receipt in _receipts(client, NAME, 3):
        client.post(f"/v1/receipts/{receipt}/reject", json={"error": NAME * 8}).raise_for_status()
    client.post(f"/v1/queues/{fifo}/messages/batch", json={"messages": [message] * 3}).raise_for_status()
    key = client.post("/v1/keys", json={"name": NAME, "scopes": ["admin"], "queues": [NAME, fifo]}).json()["secret"]
    for queue in (NAME, fifo):
        _receipts(client, queue, 1, Authorization=f"Bearer {key}")
    hook = {"url": f"http://127.0.0.1:9/{NAME}", "enabled": False}
    client.put(f"/v1/queues/{NAME}/webhooks/{NAME}", json=hook).raise_for_status()
    client.post(f"/v1/queues/{dead}/redrive", json={"max_messages": 1}).raise_for_status()


def _receipts(client: httpx.Client, queue: str, most: int, **headers: str) -> list[str]:
    asked = {"max_messages": most, "visibility_timeout": 3600}
    path = f"/v1/queues/{queue}/messages/receive"
    answer = client.post(path, json=asked, headers=headers).raise_for_status()
    return [message["receipt"] for message in answer.json()["messages"]]


def views(client: httpx.Client) -> list[str]:
    """Return the path of every screen."""
    dead, fifo = f"{NAME[:-1]}d", f"{NAME[:-1]}f"
    here = [
        f"/queues/{queue}/messages/{client.get(f'/v1/queues/{queue}/messages').json()['items'][0]['id']}"
        for queue in (NAME, dead, fifo)
    ]
    tabs = ("", "/messages", f"/messages?group={NAME}", "/dead-letters", "/webhooks", "/settings", f"/webhooks/{NAME}")
    return [
        "",
        "/queues",
        f"/queues?label={NAME[:63]}%3A{NAME[:63]}",
        *(f"/queues/{NAME}{tab}" for tab in tabs),
        f"/queues/{fifo}/groups",
        f"/queues/{dead}/dead-letters",
        *here,
        "/dead-letters",
        "/topics",
        f"/topics/{NAME}",
        "/webhooks",
        "/tasks",
        f"/playground?queue={NAME}",
        "/keys",
        "/projects",
    ]


def pretend_millions(page: Page) -> None:
    """Replace every count in a response by a very large one."""
    page.route(re.compile(r"/v1/"), _with_millions)


def _with_millions(route: Route) -> None:
    if route.request.method != "GET":
        route.continue_()
        return
    answer = route.fetch()
    if "json" not in answer.headers.get("content-type", ""):
        route.fulfill(response=answer)
        return
    route.fulfill(response=answer, body=json.dumps(_inflated(answer.json())))


def _inflated(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {member: _inflated(inner, member) for member, inner in value.items()}
    if isinstance(value, list):
        return [_inflated(inner, name) for inner in value]
    if isinstance(value, int) and not isinstance(value, bool) and _COUNTS.fullmatch(name):
        return _MILLIONS
    return value
