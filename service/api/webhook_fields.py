"""The kinds of fields that a webhook is configured by, and what they refuse."""

import base64
import binascii
import re
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from service.api.fields import Seconds
from service.model import OnExhausted, WebhookMode

_is_token = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}\Z").match
_is_value = re.compile(r"[\t\x20-\x7e]{0,4096}\Z").match
# Of a connection or a body, which are the service's business; and what makes a cloud's metadata service answer.
_RESERVED = frozenset(
    {
        *("accept-encoding", "connection", "content-length", "content-type", "expect", "host", "keep-alive", "te"),
        *("trailer", "transfer-encoding", "upgrade", "traceparent", "tracestate", "user-agent"),
        *("metadata", "metadata-flavor", "x-google-metadata-request"),
        *("x-aws-ec2-metadata-token", "x-aws-ec2-metadata-token-ttl-seconds"),
    }
)
_RESERVED_PREFIXES = ("webhook-", "proxy-", "restante-")
_MAX_HEADERS = 50


def _headers(headers: dict[str, str]) -> dict[str, str]:
    """Refuse headers that are ours to set, that open the metadata of clouds, or that are none."""
    if len(headers) > _MAX_HEADERS:
        raise PydanticCustomError("out_of_range", f"must be at most {_MAX_HEADERS}")
    for name, value in headers.items():
        if not _is_token(name) or not _is_value(value):
            raise PydanticCustomError("wrong_form", "must have names and values as HTTP has them, in visible ASCII")
        if name.lower() in _RESERVED or name.lower().startswith(_RESERVED_PREFIXES):
            raise PydanticCustomError("reserved_name", f"must not set {name}: it is set by the service, or by nobody")
    if len({name.lower() for name in headers}) < len(headers):
        raise PydanticCustomError("wrong_form", "must not give a header twice")
    return headers


def _secret(secret: str) -> str:
    """Refuse what Standard Webhooks does not allow."""
    try:
        octets = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (ValueError, binascii.Error):
        octets = b""
    if not secret.startswith("whsec_") or not 24 <= len(octets) <= 64:
        raise PydanticCustomError("wrong_form", "must be whsec_ and the base64 of 24 to 64 bytes")
    return secret


Url = Annotated[str, Field(min_length=1, max_length=2048, description="Where messages are posted to.")]
Mode = Annotated[WebhookMode, Field(description="The form of a request's body.", strict=False)]
Headers = Annotated[
    dict[str, str], AfterValidator(_headers), Field(description="Added to each request. Values are never shown again.")
]
Timeout = Annotated[timedelta, Seconds(1, 120), Field(description="For a whole request, from look-up to last byte.")]
MaxConcurrency = Annotated[int, Field(ge=1, le=1000, description="Requests in flight, over all service processes.")]
RateLimit = Annotated[float, Field(ge=0.001, le=1_000_000, description="Requests a second, over all processes.")]
Exhausted = Annotated[OnExhausted, Field(description="What becomes of a message after its last attempt.", strict=False)]
Enabled = Annotated[bool, Field(description="While false, nothing is posted and messages are kept.")]
SecretText = Annotated[
    str,
    AfterValidator(_secret),
    Field(description="What requests are signed with: `whsec_` and the base64 of 24 to 64 bytes."),
]
Delays = Annotated[
    list[Annotated[timedelta, Seconds(0, 31_536_000)]],
    Field(max_length=1000, description="Seconds before each further attempt."),
]
Jitter = Annotated[float, Field(ge=0, le=1, description="By which share a delay may be longer or shorter.")]
