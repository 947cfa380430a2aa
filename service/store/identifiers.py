"""Ids that are made here: messages by the database's time, leases by it too, queues by chance.

A message's id is a UUID of version 7 (RFC 9562). Its time is kept to a 4096th of a millisecond (method 3 of section
6.2), fine enough to give back `sent_at` to the microsecond, so that no column is needed for it.
"""

import random
import secrets
import struct
from uuid import UUID

from asyncpg.pgproto.pgproto import UUID as FastUUID  # noqa: N811 - what asyncpg reads and writes without conversion

from service.store.clock import DatabaseClock

_pack = struct.Struct(">QQ").pack
_VERSION_7 = 0x7000
_VARIANT = 1 << 63
_LEASE_RANDOM_BITS = 20

MessageId = UUID


def random_number() -> int:
    """Return 63 random bits: the identity of a queue or project, which tells nothing about how many there are."""
    return secrets.randbits(63)


class Identifiers:
    """Ids of one process: strictly rising within it, by the database's time between processes."""

    def __init__(self, clock: DatabaseClock) -> None:
        self._clock = clock
        self._tick = 0
        self._lease = 0
        # Not for secrecy (a receipt is signed): only so that two processes never make the same id.
        self._chance = random.Random(secrets.randbits(128)).getrandbits  # noqa: S311

    def message(self) -> MessageId:
        """Return the next message id."""
        tick = self._clock.microseconds() * 4096 // 1000
        self._tick = tick = max(tick, self._tick + 1)
        return FastUUID(_pack((tick >> 12) << 16 | _VERSION_7 | tick & 0xFFF, _VARIANT | self._chance(62)))

    def lease(self) -> int:
        """Return the next lease id: 43 bits of milliseconds, 20 of chance; so what is settled appends to its index."""
        fresh = self._clock.microseconds() // 1000 << _LEASE_RANDOM_BITS | self._chance(_LEASE_RANDOM_BITS)
        self._lease = max(fresh, self._lease + 1)
        return self._lease


def first_id(microseconds: int) -> UUID:
    """Return the least id of a message that was sent at this time, in microseconds since 1970, or later."""
    # The least tick that sent_at rounds up to it: the last ones of a millisecond count as the next millisecond.
    tick = max(0, -(-(microseconds * 4096 - 4095) // 1000))
    return UUID(int=((tick >> 12) << 16 | _VERSION_7 | tick & 0xFFF) << 64)


def sent_at(message_id: UUID) -> int:
    """Return when the message of this id was sent, in microseconds since 1970."""
    high = int.from_bytes(message_id.bytes[:8], "big")
    return (high >> 16) * 1000 + ((high & 0xFFF) * 1000 + 4095 >> 12)
