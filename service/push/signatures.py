"""Signatures of Standard Webhooks 1.0 (https://github.com/standard-webhooks/standard-webhooks, spec/)."""

import base64
import hmac
from collections.abc import Iterable
from datetime import datetime

from service.model import Secret

_PREFIX = "whsec_"


def signature(secrets: Iterable[Secret], message_id: str, at: datetime, body: bytes) -> str:
    """Return the header's value: a signature by each secret that counts at this time, in their order."""
    content = b"%s.%d.%s" % (message_id.encode(), int(at.timestamp()), body)
    return " ".join(
        f"v1,{_sign(secret.text, content)}" for secret in secrets if secret.until is None or secret.until > at
    )


def _sign(secret: str, content: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(_PREFIX))
    return base64.b64encode(hmac.digest(key, content, "sha256")).decode()
