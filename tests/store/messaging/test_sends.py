"""What many callers send in one statement."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from service.message import Draft
from service.store.database.clock import DatabaseClock
from service.store.database.connections import Link
from service.store.database.identifiers import Identifiers
from service.store.messaging import sends
from service.store.messaging.directory import Directory
from service.store.messaging.sends import Parcel, StaleQueue
from tests.in_process import Service

pytestmark = pytest.mark.anyio


@pytest.fixture
async def link(database: str) -> AsyncIterator[Link]:
    link = Link(database, "restante-test")
    yield link
    await link.close()


@pytest.mark.parametrize("kind", ["standard", "fifo"])
@pytest.mark.parametrize("headers", [None, b"{}"])
async def test_what_was_sent_to_an_older_version_beside_a_newer_one_is_not_called_stored(
    service: Service, link: Link, kind: str, headers: bytes | None
) -> None:
    await service.queue(type=kind)
    directory = Directory(link, link)
    directory.open()
    project = await service.sql.fetchval("select id from project")
    queue = await directory.find(project, "q")
    await directory.close()
    older = replace(queue, version=queue.version - 1)
    identifiers = Identifiers(DatabaseClock())
    parcels = [
        Parcel(version, [Draft(b"1", 1, headers=headers, id=identifiers.message())])
        for version in (older, queue, older)
    ]
    first, second, third = await sends.store(link, parcels)
    assert isinstance(first, StaleQueue)
    assert isinstance(third, StaleQueue)
    assert not isinstance(second, StaleQueue)
    [stored] = await service.sql.fetch("select id from message")
    assert stored["id"] == parcels[1].drafts[0].id
