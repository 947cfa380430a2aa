"""All chores of a process."""

from collections.abc import Mapping
from functools import partial

from service.auth.keyring import Keyring
from service.store import activity, consumers
from service.store.store import Store
from service.store.tallies import Tallies
from service.upkeep.attempts import round_of_attempts
from service.upkeep.dead_letters import round_of_dead_letters
from service.upkeep.deduplication import round_of_deduplication
from service.upkeep.keys import round_of_keys
from service.upkeep.parked import round_of_parked
from service.upkeep.records import Records
from service.upkeep.retention import Retention
from service.upkeep.retired import round_of_retired
from service.upkeep.settlements import round_of_settlements
from service.upkeep.tallies import round_of_tallies
from service.upkeep.tasks import Tasks
from service.upkeep.upkeep import Chore


def chores(store: Store, keyring: Keyring, tallies: Tallies) -> Mapping[str, Chore]:
    """Return each chore by its name, which is a label in the metrics."""
    return {
        "dead_letters": partial(round_of_dead_letters, store),
        "retention": Retention(store).round,
        "retired": partial(round_of_retired, store),
        "settlements": partial(round_of_settlements, store),
        "attempts": partial(round_of_attempts, store),
        "deduplication": partial(round_of_deduplication, store),
        "keys": partial(round_of_keys, store, keyring),
        "tasks": Tasks(store).round,
        "activity": Records(partial(activity.write, store.engine), partial(activity.remove_old, store.engine)).round,
        "consumers": Records(store.consumers.write, partial(consumers.remove_old, store.engine)).round,
        "parked": partial(round_of_parked, store),
        "tallies": partial(round_of_tallies, tallies),
    }
