"""Transactions of clients, in their lane."""

from typing import Any, cast

import pytest

from service.errors import LeaseLost, Problem, Unavailable
from service.store.database.connections import Link
from service.store.messaging.transactions import Transact, transact

pytestmark = pytest.mark.anyio


class Refusing:
    """A link on which every transaction comes to this."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem

    async def atomically(self, _work: Any) -> Any:
        raise self.problem


async def test_what_is_refused_is_its_own_senders_alone() -> None:
    items = cast("list[Transact]", [None, None])
    lost = LeaseLost()
    assert await transact(cast("Link", Refusing(lost)), lambda _ready: None, items) == [lost, lost]
    with pytest.raises(Unavailable):
        await transact(cast("Link", Refusing(Unavailable())), lambda _ready: None, items)
