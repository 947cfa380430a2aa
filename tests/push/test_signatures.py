"""Signatures are those of Standard Webhooks, as others make them."""

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook as Verifier

from service.domain.webhooks import new_secret
from service.model import Secret
from service.push.signatures import signature

_VECTORS: list[dict[str, Any]] = json.loads(Path(__file__).with_name("vectors.json").read_text("utf-8"))


@pytest.mark.parametrize("vector", _VECTORS, ids=[vector["name"] for vector in _VECTORS])
def test_a_signature_is_the_one_that_others_make(vector: dict[str, Any]) -> None:
    at = datetime.fromtimestamp(vector["timestamp"], UTC)
    body = base64.b64decode(vector["payload_b64"])
    assert signature([Secret(vector["secret"])], vector["id"], at, body) == vector["signature"]


def test_while_secrets_overlap_each_of_them_verifies_the_newest_first() -> None:
    now = datetime.now(UTC)
    new, old, ended = new_secret(), new_secret(), new_secret()
    secrets = [Secret(new), Secret(old, now + timedelta(seconds=1)), Secret(ended, now)]
    header = signature(secrets, "m", now, b"{}")
    headers = {"webhook-id": "m", "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": header}
    for secret in (new, old):
        assert Verifier(secret).verify(b"{}", headers) == {}
    assert len(header.split()) == 2
    assert header.split()[0] == signature([Secret(new)], "m", now, b"{}")
