"""Request ids, which appear in every response, every problem and the log."""

import random
import re
import secrets

# The ids need not be unpredictable, and a system call for each would cost more than everything else here.
_chance = random.Random(secrets.randbits(128)).getrandbits  # noqa: S311
_acceptable = re.compile(rb"[!-~]{1,128}").fullmatch


def request_id(header: bytes | None) -> str:
    """Return the client's own id if it consists of 1 to 128 visible ASCII characters, otherwise a new one."""
    if header is not None and _acceptable(header):
        return header.decode("ascii")
    return f"{_chance(128):032x}"
