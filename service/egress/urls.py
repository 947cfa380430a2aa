"""One strict parser of URLs: what two libraries might read in two ways is refused."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

MAX_LENGTH = 2048
_PORTS = {"http": 80, "https": 443}

_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[^\[\]/?#@\\]*\]|[^\[\]/?#@\\:]*)(?::(?P<port>[0-9]*))?([/?][^#\\]*)?\Z",
    re.IGNORECASE,
)
_visible = re.compile(r"[\x21-\x7e]+\Z").match
_label = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z", re.IGNORECASE).match
_has_letter = re.compile(r"[a-z]", re.IGNORECASE).search
_quad = re.compile(r"(?:0|[1-9]\d{0,2})(?:\.(?:0|[1-9]\d{0,2})){3}\Z", re.ASCII).match


class UrlError(ValueError):
    """A URL that is not accepted; its text is a sentence that says why."""


@dataclass(frozen=True, slots=True)
class Url:
    """A URL in its parts. `host`: in small letters, IPv6 without brackets. `literal`: it is an address."""

    text: str
    scheme: str
    host: str
    port: int
    literal: bool

    @property
    def encrypted(self) -> bool:
        """Tell whether requests to it are."""
        return self.scheme == "https"


def read_url(text: str) -> Url:
    """Read a URL. Raises UrlError."""
    if len(text) > MAX_LENGTH:
        raise UrlError(f"It has over {MAX_LENGTH} characters.")
    if not _visible(text):
        raise UrlError("It must be visible ASCII; write other characters as %XX, and other letters of a host as xn--.")
    found = _URL.match(text)
    if found is None:
        raise UrlError("It must be http(s)://host[:port][/path][?query], without credentials, fragment and backslash.")
    scheme = found["scheme"].lower()
    host, literal = _host(found["host"])
    return Url(text, scheme, host, _port(found["port"], _PORTS[scheme]), literal)


def _port(digits: str | None, default: int) -> int:
    if digits is None:
        return default
    if not 1 <= len(digits) <= 5 or not 1 <= int(digits) <= 65535:
        raise UrlError("Its port must be 1 to 65535.")
    return int(digits)


def _host(text: str) -> tuple[str, bool]:
    if text.startswith("["):
        return _address(text[1:-1], IPv6Address), True
    if _quad(text):
        return _address(text, IPv4Address), True
    labels = text.removesuffix(".").split(".")
    if len(text) > 253 or not all(map(_label, labels)):
        raise UrlError(
            "Its host must be a name, an IPv4 address of four plain numbers, or an IPv6 address in brackets."
        )
    if not _has_letter(labels[-1]) or labels[-1].lower().startswith("0x"):
        raise UrlError("Its host is a number that some would read as an address: write four plain numbers, or a name.")
    return text.lower(), False


def _address(text: str, kind: type[IPv4Address | IPv6Address]) -> str:
    try:
        address = ip_address(text)
    except ValueError:
        address = None
    if not isinstance(address, kind) or "%" in text:
        raise UrlError("Its host is no address: four numbers up to 255, or an IPv6 address in brackets without a zone.")
    return str(address)
