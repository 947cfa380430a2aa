"""The types of a webhook's configuration fields, with their validation."""

import base64
import binascii
import re
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from service.api.kit.fields import Seconds
from service.model import OnExhausted, WebhookMode, is_token

_is_value = re.compile(r"[\t\x20-\x7e]{0,4096}\Z").match
# Headers of the connection and the body, which the service sets, and headers that metadata services of clouds require.
_RESERVED = frozenset(
    {
        *("accept-encoding", "connection", "content-encoding", "content-length", "content-range", "content-type"),
        *("expect", "host", "http2-settings", "keep-alive", "te"),
        *("trailer", "transfer-encoding", "upgrade", "traceparent", "tracestate", "user-agent"),
        *("metadata", "metadata-flavor", "x-google-metadata-request"),
        *("x-aws-ec2-metadata-token", "x-aws-ec2-metadata-token-ttl-seconds"),
    }
)
_RESERVED_PREFIXES = ("webhook-", "proxy-", "restante-")
_MAX_HEADERS = 50


def _headers(headers: dict[str, str]) -> dict[str, str]:
    """Refuse malformed and duplicate headers, headers that the service sets, and those of cloud metadata services."""
    if len(headers) > _MAX_HEADERS:
        raise PydanticCustomError("out_of_range", f"must have at most {_MAX_HEADERS} headers")
    for name, value in headers.items():
        if not is_token(name) or not _is_value(value):
            raise PydanticCustomError(
                "wrong_form", "must have valid HTTP header names, and values of visible ASCII characters"
            )
        if name.lower() in _RESERVED or name.lower().startswith(_RESERVED_PREFIXES):
            raise PydanticCustomError("reserved_name", f"must not contain {name}, which is reserved")
    if len({name.lower() for name in headers}) < len(headers):
        raise PydanticCustomError("wrong_form", "must not contain a header twice; names are not case-sensitive")
    return headers


def _secret(secret: str) -> str:
    """Refuse a secret that Standard Webhooks does not allow."""
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if not secret.startswith("whsec_") or not 24 <= len(key) <= 64:
        raise PydanticCustomError("wrong_form", "must be `whsec_` followed by 24 to 64 bytes in base64")
    return secret


Url = Annotated[str, Field(min_length=1, max_length=2048, description="The URL that messages are posted to.")]
Mode = Annotated[WebhookMode, Field(description="The format of the request body.", strict=False)]
WebhookHeaders = Annotated[
    dict[str, str],
    AfterValidator(_headers),
    Field(description="Headers added to each request. Their values are not shown again."),
]
Timeout = Annotated[
    timedelta, Seconds(1, 120), Field(description="Seconds for a whole request, from DNS lookup to last byte.")
]
MaxConcurrency = Annotated[
    int, Field(ge=1, le=1000, description="Maximum number of concurrent requests, over all processes.")
]
RateLimit = Annotated[float, Field(ge=0.001, le=1_000_000, description="Requests per second, over all processes.")]
Exhausted = Annotated[
    OnExhausted,
    Field(
        description="What happens to a message after its last attempt. `dead_letter` moves it to the dead-letter "
        "queue, or blocks it if there is none. `block` keeps it until a retry; in a fifo queue it blocks its group. "
        "`drop` deletes it.",
        strict=False,
    ),
]
Enabled = Annotated[bool, Field(description="While false, messages are kept and not posted.")]
SecretText = Annotated[
    str,
    AfterValidator(_secret),
    Field(description="The secret that signs requests: `whsec_` followed by 24 to 64 bytes in base64."),
]
Delays = Annotated[
    list[Annotated[timedelta, Seconds(0, 31_536_000)]],
    Field(max_length=1000, description="Seconds before each further attempt; the list's length limits the retries."),
]
Jitter = Annotated[
    float, Field(ge=0, le=1, description="The fraction by which delays are randomly lengthened or shortened.")
]
