"""Every screen fits its window, with long names, with large numbers, and when it is empty."""

import httpx
import pytest

from tests.dashboard import long_names
from tests.dashboard.browsing import Dashboard

pytestmark = pytest.mark.timeout(240)

SIZES = {1440: 900, 1024: 768, 390: 844}


def _faults(dashboard: Dashboard, views: list[str]) -> list[str]:
    """Open each view once, and check it at every width."""
    faults = []
    for view in views:
        dashboard.page.set_viewport_size({"width": 1440, "height": 900})
        dashboard.open(view)
        for width, height in SIZES.items():
            dashboard.resize(width, height)
            where = f"{view.replace(long_names.NAME, 'NAME')} at {width}"
            if dashboard.overflow() > 0:
                faults.append(f"{where} is {dashboard.overflow()} pixels too wide: {dashboard.too_wide()}")
            faults += [f"{where}: {found}" for found in dashboard.overlaps()]
    return faults


def test_every_screen_fits_with_the_longest_names_and_millions_of_messages(
    client: httpx.Client, dashboard: Dashboard
) -> None:
    long_names.fill(client)
    long_names.pretend_millions(dashboard.page)
    faults = _faults(dashboard, long_names.views(client))
    assert not faults, "\n".join(faults)


def test_every_screen_fits_with_nothing_on_it(client: httpx.Client, dashboard: Dashboard) -> None:
    client.put("/v1/queues/empty").raise_for_status()
    tabs = ("", "/messages", "/dead-letters", "/webhooks", "/settings")
    lists = ("/dead-letters", "/topics", "/webhooks", "/tasks", "/playground", "/keys", "/projects")
    views = ["", "/queues", *(f"/queues/empty{tab}" for tab in tabs), *lists]
    faults = _faults(dashboard, views)
    assert not faults, "\n".join(faults)
