"""The id of a request: on every answer, in every problem and in the log."""

import random
import re
import secrets

# Not for secrecy, only to tell requests apart; a system call for each would cost more than the rest of this.
_chance = random.Random(secrets.randbits(128)).getrandbits  # noqa: S311
_acceptable = re.compile(rb"[!-~]{1,128}").fullmatch


def request_id(header: bytes | None) -> str:
    """Return the client's own id when it is 1 to 128 visible ASCII characters, else a fresh one."""
    if header is not None and _acceptable(header):
        return header.decode("ascii")
    return f"{_chance(128):032x}"
