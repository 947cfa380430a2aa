"""Ids: of messages and leases by the database's time, of queues and projects by chance.

A message's id is a UUID of version 7 (RFC 9562). Its time has a resolution of a 4096th of a millisecond (method 3 of
section 6.2), which yields `sent_at` to the microsecond, so no column is needed for it.
"""

import random
import secrets
import struct
from uuid import UUID

from asyncpg.pgproto.pgproto import UUID as FastUUID  # noqa: N811 - what asyncpg reads and writes without conversion

from service.store.database.clock import DatabaseClock

_pack = struct.Struct(">QQ").pack
_VERSION_7 = 0x7000
_VARIANT = 1 << 63
LEASE_RANDOM_BITS = 20


def random_number() -> int:
    """Return 63 random bits: the id of a queue or project, which does not reveal how many there are."""
    return secrets.randbits(63)


class Identifiers:
    """Ids of one process: strictly increasing within it, and in the order of the database's time across processes."""

    def __init__(self, clock: DatabaseClock) -> None:
        self._clock = clock
        self._tick = 0
        self._lease = 0
        # Not for secrecy, since receipts are signed: only so that two processes never generate the same id.
        self._chance = random.Random(secrets.randbits(128)).getrandbits  # noqa: S311

    def message(self) -> UUID:
        """Return the next message id."""
        tick = self._clock.microseconds() * 4096 // 1000
        self._tick = tick = max(tick, self._tick + 1)
        return FastUUID(_pack((tick >> 12) << 16 | _VERSION_7 | tick & 0xFFF, _VARIANT | self._chance(62)))

    def lease(self) -> int:
        """Return the next lease: 43 bits of milliseconds and 20 random bits. So settlements append to their index."""
        fresh = self._clock.microseconds() // 1000 << LEASE_RANDOM_BITS | self._chance(LEASE_RANDOM_BITS)
        self._lease = max(fresh, self._lease + 1)
        return self._lease


def first_id(microseconds: int) -> UUID:
    """Return the lowest id of messages that were sent at this time, in microseconds since 1970, or later."""
    # The lowest tick that `sent_at` rounds up to this time: the last ticks of a millisecond count as the next one.
    tick = max(0, -(-(microseconds * 4096 - 4095) // 1000))
    return UUID(int=((tick >> 12) << 16 | _VERSION_7 | tick & 0xFFF) << 64)


def sent_at(message_id: UUID) -> int:
    """Return when the message of this id was sent, in microseconds since 1970."""
    high = int.from_bytes(message_id.bytes[:8], "big")
    return (high >> 16) * 1000 + ((high & 0xFFF) * 1000 + 4095 >> 12)
