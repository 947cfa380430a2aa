"""Strict parsing of webhook URLs, so that the host that is checked is the host that is connected to.

URL parsers disagree about whitespace, backslashes, user names and unusual numbers, which attackers exploit. Nothing is
corrected here: every ambiguous URL is refused.
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


class BadUrl(ValueError):  # noqa: N818 - named after what it concerns
    """The URL is invalid or ambiguous. The text tells the user what to change."""


@dataclass(frozen=True, slots=True)
class Target:
    """A parsed URL. The host is in lower case, IPv6 without brackets; `target` is the path and query to send."""

    scheme: str
    host: str
    port: int
    target: str
    text: str


def parse(text: str) -> Target:
    """Parse a URL. Raises BadUrl."""
    _check_characters(text)
    found = _SCHEME.match(text)
    scheme = found[1].lower() if found else ""
    if found is None or scheme not in _PORTS:
        raise BadUrl("The URL must begin with https:// (or http://, if the operator allows it).")
    rest = text[found.end() :]
    end = min((at for at in map(rest.find, "/?") if at >= 0), default=len(rest))
    host, port = _authority(rest[:end])
    return Target(scheme, host, _PORTS[scheme] if port is None else port, _target(rest[end:]), text)


def _check_characters(text: str) -> None:
    if len(text) > LONGEST:
        raise BadUrl(f"The URL is longer than {LONGEST:,} characters.")
    if not text.isascii():
        raise BadUrl(
            "The URL contains non-ASCII characters: write the name in its xn-- form, and percent-encode the path."
        )
    if any(not "!" <= character <= "~" for character in text):
        raise BadUrl("The URL contains spaces or control characters: remove them, or percent-encode them in the path.")
    if "\\" in text:
        raise BadUrl("The URL contains a backslash: write a slash, or percent-encode it.")
    if "#" in text:
        raise BadUrl("The URL has a fragment, which is never sent: remove # and everything after it.")


def _authority(text: str) -> tuple[str, int | None]:
    """Return the host, and the port or None."""
    if "@" in text:
        raise BadUrl("The URL contains credentials: remove them, and set a header such as Authorization instead.")
    found = _AUTHORITY.fullmatch(text)
    if found is None:
        raise BadUrl("The host is invalid: write an IPv6 address in brackets, and a port after a single colon.")
    return _host(found[1]), None if found[2] is None else _port(found[2])


def _port(text: str) -> int:
    if not _PORT.fullmatch(text) or int(text) > 65535:
        raise BadUrl("The port must be a number from 1 to 65535, without leading zeros.")
    return int(text)


def _host(text: str) -> str:
    if text.startswith("["):
        return _ipv6(text[1:-1])
    labels = text.lower().split(".")
    if _NUMBER.fullmatch(labels[-1]) or not re.search("[a-z]", labels[-1]):
        return _ipv4(text)
    if len(text) > 253 or not all(map(_LABEL.fullmatch, labels)):
        raise BadUrl(
            "The host must be a name of a to z, 0 to 9 and hyphens, with 1 to 63 characters between dots and 253 in "
            "total. Write names in other scripts in their xn-- form."
        )
    return ".".join(labels)


def _ipv4(text: str) -> str:
    """Parse four decimal numbers. Resolvers also accept 0x7f.1, 017700000001 and 2130706433 as loopback."""
    try:
        return str(IPv4Address(text))
    except AddressValueError:
        raise BadUrl(
            "The host must be a name whose last part has letters, four decimal numbers such as 192.0.2.1, or an IPv6 "
            "address in brackets."
        ) from None


def _ipv6(text: str) -> str:
    if "%" in text:
        raise BadUrl("The IPv6 address has a zone, which is only valid on one machine: remove it.")
    try:
        return str(IPv6Address(text))
    except AddressValueError:
        raise BadUrl("The text in brackets must be an IPv6 address.") from None


def _target(text: str) -> str:
    if not _TARGET.fullmatch(text):
        raise BadUrl(
            "The path or query contains characters that must be percent-encoded, or a % without two hexadecimal digits."
        )
    path, _, query = text.partition("?")
    return f"{path or '/'}?{query}" if query else path or "/"
