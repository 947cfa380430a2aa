"""ETags, and the requests that depend on them (RFC 9110, section 13)."""

import json
import re
from collections.abc import Callable
from dataclasses import asdict
from datetime import timedelta
from hashlib import blake2b
from typing import Annotated, Any

from fastapi import Header

from service.api.fields import in_seconds
from service.errors import MalformedRequest, PreconditionFailed
from service.model import ProjectLimits, QueueConfig, SubscriptionConfig, TopicConfig, WebhookConfig

Config = QueueConfig | ProjectLimits | WebhookConfig | TopicConfig | SubscriptionConfig

_TAGS = re.compile(r'\s*(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"\s*(?:,\s*(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"\s*)*')
_TAG = re.compile(r'(W/)?("[^"]*")')

IfMatch = Annotated[
    str | None,
    Header(alias="If-Match", description="Do it only if the configuration still has this ETag (`*`: if it exists)."),
]
IfNoneMatch = Annotated[
    str | None,
    Header(alias="If-None-Match", description="PUT: `*` creates only. GET: 304 if the ETag is still this one."),
]


def etag(config: Config) -> str:
    """Return the strong validator of a configuration; equal configurations have equal ones."""
    text = json.dumps(asdict(config), sort_keys=True, default=_plain)
    return f'"{blake2b(text.encode(), digest_size=12).hexdigest()}"'


def _plain(value: Any) -> Any:
    if isinstance(value, timedelta):
        return in_seconds(value)
    raise TypeError(type(value))


def condition(if_match: str | None, if_none_match: str | None) -> Callable[[Config | None], None]:
    """Return the check of what is there against these headers."""
    wanted = _tags(if_match, weak=False)
    unwanted = _tags(if_none_match, weak=True)

    def check(config: Config | None) -> None:
        tag = etag(config) if config is not None else None
        if wanted is not None and not _holds(wanted, tag):
            raise PreconditionFailed("If-Match does not hold: read it again and decide on what is there now.")
        if unwanted is not None and _holds(unwanted, tag):
            raise PreconditionFailed("If-None-Match does not hold: there is one of this name already.")

    return check


def not_modified(config: Config, if_none_match: str | None) -> bool:
    """Tell whether the client has this configuration already."""
    unwanted = _tags(if_none_match, weak=True)
    return unwanted is not None and _holds(unwanted, etag(config))


def _holds(tags: set[str], tag: str | None) -> bool:
    return tag is not None and ("*" in tags or tag in tags)


def _tags(header: str | None, *, weak: bool) -> set[str] | None:
    """Return the tags that a header names; a weak one never equals a strong one where strength is asked for."""
    if header is None:
        return None
    if header.strip() == "*":
        return {"*"}
    if not _TAGS.fullmatch(header):
        raise MalformedRequest('If-Match and If-None-Match take * or a list of entity tags, such as "5f0c".')
    return {tag for weakness, tag in _TAG.findall(header) if weak or not weakness}
