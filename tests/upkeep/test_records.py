"""What is seen is written down in every round; what is old goes once a minute, batch by batch."""

from datetime import timedelta

import pytest

from service.upkeep.records import Records

pytestmark = pytest.mark.anyio


async def test_it_writes_each_time_and_forgets_all_that_is_old_once_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    batches = [True, True, False, False]
    now = 1000.0
    monkeypatch.setattr("service.upkeep.records.time.monotonic", lambda: now)

    async def write() -> None:
        done.append("write")

    async def forget() -> bool:
        done.append("forget")
        return batches.pop(0)

    chore = Records(write, forget)
    rests = [await chore.round() for _ in range(4)]
    assert [rest == timedelta(0) for rest in rests] == [True, True, False, False]
    assert done == ["write", "forget"] * 3 + ["write"]
    now += 61
    await chore.round()
    assert done[-2:] == ["write", "forget"]
