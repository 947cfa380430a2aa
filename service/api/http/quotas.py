"""Enforce a project's request rate before its request is read, and report it in RateLimit headers."""

from service.errors import RateLimited
from service.model import Caller, ProjectLimits
from service.store.store import Store

RateHeaders = list[tuple[bytes, bytes]]
# The key of these headers in a request's scope; `edge.Edge` adds them to the response.
RATE_HEADERS = "restante.rate_headers"


async def admit(store: Store, caller: Caller, headers: RateHeaders) -> None:
    """Count a request against its project's rate limit, if any, and append the RateLimit headers to `headers`.

    Raises RateLimited, Unavailable.
    """
    rate = caller.limits and caller.limits.requests_per_second
    if not rate:
        return
    headers.append((b"ratelimit-policy", b'"requests";q=%d;w=1' % rate))
    try:
        left = store.rates.take(caller.project_id, rate)
        if left is None:
            left = await store.rates.wait(caller.project_id, rate)
    except RateLimited as problem:
        headers.append((b"ratelimit", b'"requests";r=0;t=%b' % problem.headers["Retry-After"].encode()))
        raise
    headers.append((b"ratelimit", b'"requests";r=%d;t=1' % left))


def limits_on_stored(store: Store, caller: Caller) -> ProjectLimits | None:
    """Return the caller's limits if they restrict stored messages; otherwise stop tracking the project's usage."""
    limits = caller.limits
    if limits is not None and (limits.messages is not None or limits.bytes is not None):
        return limits
    store.usage.forget(caller.project_id)
    return None
