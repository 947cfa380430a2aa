"""What is counted is what happened."""

import pytest
from prometheus_client import REGISTRY

from service.errors import Unavailable
from service.store.database.connections import Link
from tests.in_process import in_process

pytestmark = pytest.mark.anyio


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


@pytest.mark.parametrize("action", ["delete", "release", "reject", "extend"])
async def test_a_settle_is_counted_as_what_was_asked(database: str, action: str) -> None:
    async with in_process(database) as service:
        await service.queue()
        await service.root.post("/v1/queues/q/messages", json={"body": 1})
        [message] = (await service.root.post("/v1/queues/q/messages/receive")).json()["messages"]
        before = counted("restante_messages_settled_total", action=action)
        item = {"receipt": message["receipt"], "action": action}
        item |= {"visibility_timeout": 9} if action == "extend" else {}
        item |= {"drop": True} if action == "reject" else {}
        await service.root.post("/v1/receipts/batch", json={"items": [item]})
    assert counted("restante_messages_settled_total", action=action) == before + 1


async def test_a_lost_connection_is_counted_whoever_holds_it() -> None:
    before = counted("restante_database_errors_total", kind="lost")
    with pytest.raises(Unavailable):
        await Link("postgresql://127.0.0.1:1/nowhere", "restante-test").fetch("select 1")
    assert counted("restante_database_errors_total", kind="lost") == before + 1
