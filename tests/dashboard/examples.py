"""The queues of a shop, with something on every screen, for tests and screenshots."""

import time

import httpx

LONG = "a-queue-with-a-name-that-somebody-found-reasonable-late-one-evening".ljust(128, "-")
ERRORS = ("card declined", "timeout after 30 s calling payments.internal", "KeyError: 'customer'")

_VIEWS = {
    "overview": "",
    "queues": "/queues",
    "queue": "/queues/orders",
    "settings": "/queues/orders/settings",
    "messages": "/queues/orders/messages",
    "groups": "/queues/ledger/groups",
    "dead-letters": "/dead-letters",
    "dead-letter-queue": "/queues/orders-dead/dead-letters",
    "topics": "/topics",
    "topic": "/topics/order-events",
    "webhooks": "/webhooks",
    "webhook": "/queues/invoices/webhooks/erp",
    "tasks": "/tasks",
    "playground": "/playground?queue=mail",
    "keys": "/keys",
    "projects": "/projects",
    "no-queues": "/queues?search=nothing-has-this-name",
    "no-messages": "/queues/mail/messages?state=leased",
}


def views(client: httpx.Client) -> dict[str, str]:
    """Return the path of every screen by its name, after `fill`."""
    [order] = client.get("/v1/queues/orders/messages", params={"limit": 1, "state": "leased"}).json()["items"]
    [dead] = client.get("/v1/queues/orders-dead/messages", params={"limit": 1}).json()["items"]
    [pushed] = client.get("/v1/queues/invoices/messages", params={"limit": 1}).json()["items"]
    return _VIEWS | {
        "pushed-message": f"/queues/invoices/messages/{pushed['id']}",
        "message": f"/queues/orders/messages/{order['id']}",
        "dead-letter": f"/queues/orders-dead/messages/{dead['id']}",
    }


def fill(client: httpx.Client) -> None:
    """Create queues, messages in every state, dead letters, topics, a failing webhook, keys and projects."""
    dead_letter = {"queue": "orders-dead", "max_receives": 3}
    for name, config in {
        "orders-dead": {},
        "orders": {"dead_letter": dead_letter, "labels": {"team": "shop", "stage": "live"}},
        "ledger": {"type": "fifo"},
        "invoices": {},
        "mail": {"labels": {"team": "mail"}},
        "thumbnails": {"paused": True},
        LONG: {},
    }.items():
        client.put(f"/v1/queues/{name}", json=config).raise_for_status()
    _messages(client)
    _topic(client)
    hook = {"url": "http://127.0.0.1:9/hooks", "retry": {"delays": [600]}}
    client.put("/v1/queues/invoices/webhooks/erp", json=hook).raise_for_status()
    client.post("/v1/queues/invoices/messages", json={"body": {"total": 120}})
    worker = client.post("/v1/keys", json={"name": "worker", "scopes": ["receive"], "queues": ["orders*"]}).json()
    client.post("/v1/queues/orders/messages/receive", headers={"Authorization": f"Bearer {worker['secret']}"})
    client.put("/v1/projects/acme", json={"limits": {"messages": 1_000_000, "requests_per_second": 500}})
    task = client.post("/v1/queues/orders-dead/redrive", json={"max_messages": 2}).json()
    ends = time.monotonic() + 20
    while client.get(f"/v1/tasks/{task['id']}").json()["state"] == "running":
        assert time.monotonic() < ends, "the redrive does not end"
        time.sleep(0.05)


def _messages(client: httpx.Client) -> None:
    orders = [_order(n) for n in range(240)]
    client.post("/v1/queues/orders/messages/batch", json={"messages": orders}).raise_for_status()
    for _ in range(7):
        for n, message in enumerate(_receive(client, "orders", 10)):
            error = ERRORS[n % len(ERRORS)]
            client.post(f"/v1/receipts/{message['receipt']}/reject", json={"error": error})
    _receive(client, "orders", 12)
    rows = [{"body": {"account": n % 8, "amount": n}, "group": f"account-{n % 8}"} for n in range(64)]
    client.post("/v1/queues/ledger/messages/batch", json={"messages": rows}).raise_for_status()
    _receive(client, "ledger", 3)
    client.post("/v1/queues/mail/messages", json={"body": "later", "delay": 3600})
    client.post("/v1/queues/thumbnails/messages", json={"body": {"image": "cat.png"}})


def _order(n: int) -> dict[str, object]:
    items = [{"sku": f"A-{n % 17}", "quantity": 1 + n % 3}]
    body = {"order": 4200 + n, "customer": f"c-{n % 40}", "total": 10 + n % 90, "items": items}
    return {"body": body, "headers": {"source": "shop", "kind": "order.paid"}}


def _receive(client: httpx.Client, queue: str, most: int) -> list[dict[str, str]]:
    asked = {"max_messages": most, "visibility_timeout": 3600}
    messages: list[dict[str, str]] = client.post(f"/v1/queues/{queue}/messages/receive", json=asked).json()["messages"]
    return messages


def _topic(client: httpx.Client) -> None:
    client.put("/v1/topics/order-events").raise_for_status()
    for name, filter_ in {
        "mail": {"headers": {"kind": ["order.paid"]}},
        "invoices": {"body": {"/total": [{"numeric": [">=", 100]}]}},
        "orders": {},
    }.items():
        subscription = {"queue": name, "filter": filter_}
        client.put(f"/v1/topics/order-events/subscriptions/{name}", json=subscription).raise_for_status()
