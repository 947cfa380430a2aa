"""Signatures of Standard Webhooks 1.0 (https://github.com/standard-webhooks/standard-webhooks, spec/)."""

import base64
import hmac
from collections.abc import Iterable
from datetime import datetime

from service.model import MAX_SECRETS, Secret

_PREFIX = "whsec_"


def signature(secrets: Iterable[Secret], message_id: str, at: datetime, body: bytes) -> str:
    """Return the header's value: a signature by each valid secret, at most by the newest MAX_SECRETS."""
    content = b"%s.%d.%s" % (message_id.encode(), int(at.timestamp()), body)
    standing = [secret for secret in secrets if secret.until is None or secret.until > at]
    return " ".join(f"v1,{_sign(secret.text, content)}" for secret in standing[:MAX_SECRETS])


def _sign(secret: str, content: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(_PREFIX))
    return base64.b64encode(hmac.digest(key, content, "sha256")).decode()
