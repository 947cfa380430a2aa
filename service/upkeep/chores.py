"""The table of chores."""

from collections.abc import Mapping
from functools import partial

from service.auth.keyring import Keyring
from service.store.store import Store
from service.store.views import activity, consumers
from service.store.views.long_queues import Tallies
from service.store.views.metered import MeteredQueues
from service.upkeep import rounds
from service.upkeep.records import Records
from service.upkeep.retention import Retention
from service.upkeep.tasks import Tasks
from service.upkeep.upkeep import Chore


def chores(store: Store, keyring: Keyring, tallies: Tallies, metered: MeteredQueues) -> Mapping[str, Chore]:
    """Return the chores of a process by name. The names are a label in the metrics."""
    # The first rounds begin in this order: first the one without which attempts cannot be recorded, then those that
    # consumers, keys and limits wait for.
    return {
        "attempts": partial(rounds.round_of_attempts, store),
        "dead_letters": partial(rounds.round_of_dead_letters, store),
        "parked": partial(rounds.round_of_shares, store),
        "watched": partial(rounds.round_of_watched, store),
        "tasks": Tasks(store).round,
        "retention": Retention(store).round,
        "retired": partial(rounds.round_of_retired, store),
        "tallies": partial(rounds.round_of_long_queues, tallies),
        "metered": partial(rounds.round_of_metered, metered),
        "activity": Records(partial(activity.write, store.engine), partial(activity.remove_old, store.engine)).round,
        "consumers": Records(store.consumers.write, partial(consumers.remove_old, store.engine)).round,
        "keys": partial(rounds.round_of_keys, store, keyring),
        "settlements": partial(rounds.round_of_settlements, store),
        "deduplication": partial(rounds.round_of_deduplication, store),
        "unused": partial(rounds.round_of_unused, store),
        "storage": partial(rounds.round_of_storage, store),
    }
