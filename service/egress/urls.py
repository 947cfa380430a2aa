"""The URLs that push sends to: one strict reading, so that what was judged is what is connected to.

Readers of URLs disagree about blanks, backslashes, user names and odd numbers, and that is what attacks are made of.
Nothing is repaired here: what can be read in two ways is refused.
"""

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address

LONGEST = 2048
_PORTS = {"http": 80, "https": 443}

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_AUTHORITY = re.compile(r"(\[[^]]*]|[^:\[\]]*)(?::([^:]*))?")
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_TARGET = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?\[\]]|%[0-9A-Fa-f]{2})*")


class BadUrl(ValueError):  # noqa: N818 - it says what happened
    """The URL is not one to send to; the sentence says what to change."""


@dataclass(frozen=True, slots=True)
class Target:
    """A URL in its parts. The host is in lower case, IPv6 without brackets; `target` is the path and query to send."""

    scheme: str
    host: str
    port: int
    target: str
    text: str


def parse(text: str) -> Target:
    """Read a URL.

    Raises:
        BadUrl: whatever is wrong with it.
    """
    _check_characters(text)
    found = _SCHEME.match(text)
    scheme = found[1].lower() if found else ""
    if found is None or scheme not in _PORTS:
        raise BadUrl("The URL must begin with https:// (or http://, where the operator allows it).")
    rest = text[found.end() :]
    end = min((at for at in map(rest.find, "/?") if at >= 0), default=len(rest))
    host, port = _authority(rest[:end])
    return Target(scheme, host, _PORTS[scheme] if port is None else port, _target(rest[end:]), text)


def _check_characters(text: str) -> None:
    if len(text) > LONGEST:
        raise BadUrl(f"The URL is longer than {LONGEST:,} characters.")
    if not text.isascii():
        raise BadUrl(
            "The URL has characters that are not ASCII: write a name in its xn-- form, and percent-encode the path."
        )
    if any(not "!" <= character <= "~" for character in text):
        raise BadUrl("The URL has blanks or control characters: percent-encode them in the path, leave out others.")
    if "\\" in text:
        raise BadUrl("The URL has a backslash: write a slash, or percent-encode it.")
    if "#" in text:
        raise BadUrl("The URL has a fragment, which is never sent: leave out # and what follows.")


def _authority(text: str) -> tuple[str, int | None]:
    """Return the host and the port, if one is written."""
    if "@" in text:
        raise BadUrl("The URL has credentials in it: leave them out, and send a header such as Authorization instead.")
    found = _AUTHORITY.fullmatch(text)
    if found is None:
        raise BadUrl("The host cannot be read: an IPv6 address stands in brackets, a port after a single colon.")
    return _host(found[1]), None if found[2] is None else _port(found[2])


def _port(text: str) -> int:
    if not _PORT.fullmatch(text) or int(text) > 65535:
        raise BadUrl("The port must be a number of 1 to 65535, without leading zeros.")
    return int(text)


def _host(text: str) -> str:
    if text.startswith("["):
        return _ipv6(text[1:-1])
    labels = text.lower().split(".")
    if _NUMBER.fullmatch(labels[-1]) or not re.search("[a-z]", labels[-1]):
        return _ipv4(text)
    if len(text) > 253 or not all(map(_LABEL.fullmatch, labels)):
        raise BadUrl(
            "The host must be a name of a to z, 0 to 9 and hyphens, 1 to 63 between two dots and 253 in all. "
            "Names in other scripts are written in their xn-- form."
        )
    return ".".join(labels)


def _ipv4(text: str) -> str:
    """Four decimal numbers and nothing else: resolvers also take 0x7f.1, 017700000001 and 2130706433 for loopback."""
    try:
        return str(IPv4Address(text))
    except AddressValueError:
        raise BadUrl(
            "The host must be a name whose last part has letters, four decimal numbers as in 192.0.2.1, or an IPv6 "
            "address in brackets."
        ) from None


def _ipv6(text: str) -> str:
    if "%" in text:
        raise BadUrl("The IPv6 address has a zone, which means something on one machine only: leave it out.")
    try:
        return str(IPv6Address(text))
    except AddressValueError:
        raise BadUrl("What stands in brackets is not an IPv6 address.") from None


def _target(text: str) -> str:
    if not _TARGET.fullmatch(text):
        raise BadUrl(
            "The path or query has characters that must be percent-encoded, or a % without two hexadecimal digits."
        )
    path, _, query = text.partition("?")
    return f"{path or '/'}?{query}" if query else path or "/"
