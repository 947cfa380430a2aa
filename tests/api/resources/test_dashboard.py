"""How the dashboard is served; what it does is tested in a browser, in tests/dashboard."""

from pathlib import Path

import pytest

from service.api.resources import dashboard
from tests.in_process import Service

pytestmark = pytest.mark.anyio


async def test_without_a_bundle_it_says_how_to_build_one(
    service: Service, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(dashboard, "BUNDLE", tmp_path)
    for path in ("/dashboard", "/dashboard/queues/q"):
        answer = await service.root.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        assert "make bundle" in answer.json()["detail"]


async def test_every_view_is_the_same_page_whatever_its_path_is(service: Service) -> None:
    page = (await service.root.get("/dashboard")).text
    for path in ("/dashboard/", "/dashboard/queues/a.b~c", "/dashboard/queues/q/messages?state=ready"):
        answer = await service.root.get(path)
        assert (answer.status_code, answer.text) == (200, page)
    assert (await service.root.get("/dashboardx")).status_code == 404


async def test_it_needs_no_key(service: Service) -> None:
    async with service.client(None) as stranger:
        assert (await stranger.get("/dashboard")).status_code == 200
        assert (await stranger.get("/v1/overview")).status_code == 401
