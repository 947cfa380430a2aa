"""What single queues hold is among the metrics: of those that ask for it, and of those with most waiting."""

from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.store.views import metered
from service.store.views.metered import MeteredQueues
from tests.in_process import Service, messages

pytestmark = pytest.mark.anyio

_ASKED: Any = {"labels": {"metrics": "true"}}


@pytest.fixture(autouse=True)
def no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metered, "_REST_SECONDS", 0)
    monkeypatch.setattr(metered, "_REST_SHARE", 0)


def _metered(service: Service) -> MeteredQueues:
    counted: MeteredQueues = service.app._api.state.metered
    return counted


async def _scraped(service: Service, name: str) -> dict[tuple[str, ...], float]:
    """Return the series of a metric by their labels, as the next scrape after a count has them."""
    # However slow the machine is: a scrape itself waits no longer than a second for the first count.
    await _metered(service).ask()
    await _metered(service).refresh()
    text = (await service.root.get("/metrics", headers={"Authorization": ""})).text
    return {
        tuple(sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    }


async def test_a_queue_is_counted_by_state_and_age(service: Service) -> None:
    number = await service.queue(**_ASKED)
    await messages(service.sql, number, 3, visible_at="clock_timestamp() - interval '90 s'")
    await messages(service.sql, number, 2, visible_at="clock_timestamp() + interval '90 s'")
    await service.root.post("/v1/queues/q/messages/receive")
    assert await _scraped(service, "restante_queue_messages") == {
        ("default", "q", "ready"): 2,
        ("default", "q", "delayed"): 2,
        ("default", "q", "leased"): 1,
    }
    [(labels, age)] = (await _scraped(service, "restante_queue_oldest_ready_age_seconds")).items()
    assert labels == ("default", "q")
    assert 90 <= age < 120


async def test_an_empty_queue_that_asks_for_it_is_counted_too(service: Service) -> None:
    await service.queue(**_ASKED)
    await service.queue("unasked")
    assert set((await _scraped(service, "restante_queue_messages")).values()) == {0}
    assert await _scraped(service, "restante_queue_oldest_ready_age_seconds") == {("default", "q"): 0}


async def test_the_fullest_queues_are_counted_unasked(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metered, "FULLEST", 2)
    for name, ready, delayed in (("a", 1, 0), ("b", 30, 0), ("c", 0, 90), ("d", 20, 0)):
        number = await service.queue(name)
        await messages(service.sql, number, ready)
        await messages(service.sql, number, delayed, visible_at="clock_timestamp() + interval '1 h'")
    assert {queue for _, queue in await _scraped(service, "restante_queue_oldest_ready_age_seconds")} == {"b", "d"}


async def test_queues_that_ask_are_bounded_and_those_left_out_are_counted(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metered, "MOST_LABELLED", 2)
    for name in "cab":
        await service.queue(name, **_ASKED)
    assert {queue for _, queue in await _scraped(service, "restante_queue_oldest_ready_age_seconds")} == {"c", "a"}
    assert await _scraped(service, "restante_queues_without_metrics") == {(): 1}


async def test_a_deleted_queue_leaves_no_series_behind(service: Service) -> None:
    await service.queue(**_ASKED)
    assert await _scraped(service, "restante_queue_messages")
    await service.root.delete("/v1/queues/q")
    assert not await _scraped(service, "restante_queue_messages")


async def test_nothing_is_counted_when_nobody_scrapes(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    await service.queue(**_ASKED)
    await _scraped(service, "restante_queue_messages")
    monkeypatch.setattr(metered, "_KEPT_SECONDS", 0)
    await service.root.delete("/v1/queues/q")
    await _metered(service).refresh()
    monkeypatch.undo()
    assert len(await _metered(service).ask()) == 1
