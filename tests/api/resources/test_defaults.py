"""What is taken for the fields that a configuration leaves out."""

import pytest

from tests.in_process import in_process

pytestmark = pytest.mark.anyio


async def test_a_new_queue_and_a_new_webhook_have_the_defaults_that_are_published(database: str) -> None:
    async with in_process(database, max_message_bytes=2000, push_http=True, push_allow="127.0.0.0/8") as service:
        defaults = (await service.root.get("/v1/defaults")).json()
        queue = (await service.root.put("/v1/queues/q")).json()
        webhook = (await service.root.put("/v1/queues/q/webhooks/w", json={"url": "http://127.0.0.1:9"})).json()
    assert defaults["queue"]["max_message_bytes"] == 2000
    for shown, made in ((defaults["queue"], queue), (defaults["webhook"], webhook)):
        assert shown == {name: made[name] for name in shown}
    assert set(queue) - set(defaults["queue"]) == {"name", "created_at", "updated_at", "stats"}
