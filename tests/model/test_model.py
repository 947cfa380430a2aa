"""Whatever is asked, in whatever order: the service answers as a queue of plain lists would.

MODEL_EXAMPLES=1000 looks for more, other ones each time; what fails is printed as a program to be run again.
MODEL_SHRINK=0 leaves it as long as it was found, which saves minutes.
"""

import os
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from service.store.database.migrate import migrate
from tests.clock import shiftable
from tests.conftest import apart, created
from tests.model.machine import Machine
from tests.model.served import Served, served

_EXAMPLES = os.environ.get("MODEL_EXAMPLES")
_SETTINGS = settings(
    max_examples=int(_EXAMPLES or 25),
    stateful_step_count=40,
    derandomize=_EXAMPLES is None,
    phases=[phase for phase in Phase if phase != Phase.shrink or os.environ.get("MODEL_SHRINK") != "0"],
    database=None,
    deadline=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def service(postgres: str) -> Iterator[Served]:
    for database in created(postgres):
        apart(migrate(database))
        apart(shiftable(database))
        with served(database) as service:
            yield service


@pytest.mark.timeout(0 if _EXAMPLES else 300)
@pytest.mark.parametrize("kind", ["standard", "fifo"])
def test_a_queue_answers_as_its_model_whatever_is_asked(service: Served, kind: str) -> None:
    machine: Any = partial(Machine, service, fifo=kind == "fifo")
    run_state_machine_as_test(machine, settings=_SETTINGS)
