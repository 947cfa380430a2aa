"""The consumer of a stream that the documents show goes on when it loses its connection."""

import asyncio
import contextlib
import importlib
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.serving import Serving

pytestmark = pytest.mark.anyio

_PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "stream.md").read_text("utf-8")


async def test_the_python_consumer_connects_again_after_the_service_has_closed(
    service: Serving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [block] = re.findall(r"^```python\n(.*?)^```$", _PAGE, re.MULTILINE | re.DOTALL)
    (tmp_path / "consumer_of_a_stream.py").write_text(block, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    consumer = importlib.import_module("consumer_of_a_stream")
    worked: asyncio.Queue[Any] = asyncio.Queue()

    async def work(message: dict[str, Any]) -> None:
        await worked.put(message["body"])

    monkeypatch.setattr(consumer, "work", work, raising=False)
    headers = {"Authorization": f"Bearer {service.key}"}
    async with httpx.AsyncClient(base_url=service.url, headers=headers, trust_env=False, timeout=30) as client:
        await client.put("/v1/queues/orders")
        consuming = asyncio.create_task(consumer.consume(service.url.replace("http", "ws"), service.key, "orders"))
        for body in ("before", "after"):
            await client.post("/v1/queues/orders/messages", json={"body": body})
            first = asyncio.create_task(worked.get())
            await asyncio.wait([first, consuming], timeout=20, return_when=asyncio.FIRST_COMPLETED)
            assert not consuming.done(), consuming.exception()
            assert await asyncio.wait_for(first, 1) == body
            # Its connections end, until there is a queue again.
            await client.delete("/v1/queues/orders")
            await client.put("/v1/queues/orders")
        consuming.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await consuming
