"""A failover during which the server's name still leads to the former primary for a while."""

import asyncio

import pytest

from tests.in_process import Service, in_process

pytestmark = pytest.mark.anyio

END_ALL = """
select pg_terminate_backend(pid) from pg_stat_activity
where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()
"""


async def statuses(service: Service) -> set[int]:
    """Ask for more at once than the pool has connections, so that each of them is used."""
    answers = await asyncio.gather(*(service.root.put(f"/v1/queues/q{n}", json={}) for n in range(8)))
    return {answer.status_code for answer in answers}


async def test_no_connection_stays_on_a_server_that_takes_no_writes(database: str) -> None:
    async with in_process(database) as service:
        assert await statuses(service) == {201}
        name = await service.sql.fetchval("select current_database()")
        await service.sql.execute(f'alter database "{name}" set default_transaction_read_only = on')
        await service.sql.execute(END_ALL)
        assert await statuses(service) == {503}
        await service.sql.execute(f'alter database "{name}" reset default_transaction_read_only')
        async with asyncio.timeout(10):
            while await statuses(service) != {200}:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.1)
        assert (await service.root.post("/v1/queues/q0/messages", json={"body": 1})).status_code == 201
