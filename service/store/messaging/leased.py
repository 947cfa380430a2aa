"""Leased messages, made of the rows of the statements that lease them."""

import asyncpg

from service.message import Leased
from service.store.database.statements import COLUMNS

_FIELDS = 1 + len(COLUMNS["leased"])


def leased(row: asyncpg.Record) -> Leased:
    """Return the message of a row that ends with the fields of `Leased`."""
    return Leased(*row[-_FIELDS:])
