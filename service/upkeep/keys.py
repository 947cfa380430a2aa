"""When keys were last used: remembered by the keyring, written down now and then."""

from datetime import timedelta

from service.auth.keyring import Keyring
from service.store import keys
from service.store.store import Store
from service.store.transactions import transaction

_REST = timedelta(seconds=15)


async def round_of_keys(store: Store, keyring: Keyring) -> timedelta:
    """Write down which keys were used since the last round."""
    used = keyring.take_used()
    if used:
        await transaction(store.engine, lambda connection: keys.touch(connection, used))
    return _REST
