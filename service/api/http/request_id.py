"""Request ids, which appear in every response, every problem and the log."""

import re
import secrets
from itertools import count

# The ids need not be unpredictable, only different in every process. A random number for each would take longer.
_prefix = secrets.token_hex(8)
_numbers = count(secrets.randbits(32))
_acceptable = re.compile(rb"[!-~]{1,128}").fullmatch


def request_id(header: bytes | None) -> str:
    """Return the client's own id if it consists of 1 to 128 visible ASCII characters, otherwise a new one."""
    if header is not None and _acceptable(header):
        return header.decode("ascii")
    return f"{_prefix}{next(_numbers):016x}"
