"""The id of a request: on every answer, in every problem and in the log."""

import re
import secrets

_acceptable = re.compile(rb"[!-~]{1,128}").fullmatch


def request_id(header: bytes | None) -> str:
    """Return the client's own id when it is 1 to 128 visible ASCII characters, else a fresh one."""
    if header is not None and _acceptable(header):
        return header.decode("ascii")
    return secrets.token_hex(16)
