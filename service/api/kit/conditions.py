"""ETags and conditional requests (RFC 9110, section 13)."""

import json
import re
from collections.abc import Callable
from dataclasses import asdict
from datetime import timedelta
from hashlib import blake2b
from typing import Annotated, Any

from fastapi import Depends, Header, Response

from service.api.kit.fields import in_seconds
from service.errors import MalformedRequest, PreconditionFailed
from service.model import ProjectLimits, QueueConfig, SubscriptionConfig, TopicConfig, WebhookConfig

Config = QueueConfig | ProjectLimits | WebhookConfig | TopicConfig | SubscriptionConfig

_ONE = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
# A list may contain empty elements, which are ignored (RFC 9110, section 5.6.1.2).
_TAGS = re.compile(rf"[\s,]*{_ONE}\s*(?:,\s*(?:{_ONE}\s*)?)*")
_TAG = re.compile(r'(W/)?("[^"]*")')

IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        description="Apply the request only if the configuration still has this ETag; `*`: only if it exists.",
    ),
]
IfNoneMatch = Annotated[
    str | None,
    Header(
        alias="If-None-Match",
        description="PUT with `*`: create, but do not replace. GET: answer 304 if the ETag is unchanged.",
    ),
]


def etag(config: Config) -> str:
    """Return the strong ETag of a configuration. Equal configurations have equal ETags."""
    text = json.dumps(asdict(config), sort_keys=True, default=_plain)
    return f'"{blake2b(text.encode(), digest_size=12).hexdigest()}"'


def _plain(value: Any) -> Any:
    if isinstance(value, timedelta):
        return in_seconds(value)
    raise TypeError(type(value))


def condition(if_match: IfMatch = None, if_none_match: IfNoneMatch = None) -> Callable[[Config | None], None]:
    """Return a function that checks the current configuration against the request's headers.

    The function takes None if there is no configuration, and raises PreconditionFailed.
    """
    wanted = _tags(if_match, weak=False)
    unwanted = _tags(if_none_match, weak=True)

    def check(config: Config | None) -> None:
        tag = etag(config) if config is not None else None
        if wanted is not None and not _holds(wanted, tag):
            raise PreconditionFailed("The ETag does not match If-Match: GET the current configuration, then retry.")
        if unwanted is not None and _holds(unwanted, tag):
            raise PreconditionFailed("The name is taken, or the configuration has an ETag of If-None-Match.")

    return check


def knowledge(if_none_match: IfNoneMatch = None) -> Callable[[Config], bool]:
    """Return a function that returns whether the client already has a configuration."""
    known = _tags(if_none_match, weak=True)
    return lambda config: known is not None and _holds(known, etag(config))


def unchanged(config: Config) -> Response:
    """Return the response to a client that already has the configuration."""
    return Response(status_code=304, headers={"ETag": etag(config)})


Precondition = Annotated[Callable[[Config | None], None], Depends(condition)]
IsKnown = Annotated[Callable[[Config], bool], Depends(knowledge)]


def _holds(tags: set[str], tag: str | None) -> bool:
    return tag is not None and ("*" in tags or tag in tags)


def _tags(header: str | None, *, weak: bool) -> set[str] | None:
    """Return the entity tags in a header. `weak`: include weak tags, which match only in a weak comparison."""
    if header is None:
        return None
    if header.strip() == "*":
        return {"*"}
    if not _TAGS.fullmatch(header):
        raise MalformedRequest('If-Match and If-None-Match take * or a list of entity tags, such as "5f0c".')
    return {tag for weakness, tag in _TAG.findall(header) if weak or not weakness}
