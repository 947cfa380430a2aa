"""Which addresses may be connected to: public ones by rules of our own, and networks that the operator allows.

The registries change and libraries disagree; what counts here is that nothing inside a network is reached by accident:
IANA's special-purpose registries, the metadata services of clouds, and forms that stand for another address.
"""

import contextlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_ADVICE = "The operator may allow its network in RESTANTE_PUSH_ALLOW."

_REFUSED_4 = tuple(
    IPv4Network(network)
    for network in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "168.63.129.16/32", "169.254.0.0/16"),
        *("172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24"),
        *("192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
        *("224.0.0.0/4", "240.0.0.0/4"),
    )
)
_PUBLIC_6 = IPv6Network("2000::/3")
_REFUSED_6 = tuple(
    IPv6Network(network) for network in ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")
)
# ISATAP: the last 32 bits are an IPv4 address.
_TUNNELLED = frozenset({0x0000_5EFE, 0x0200_5EFE})

_ENTRY = re.compile(r"(?:\[(?P<bracketed>[^\]]+)\]|(?P<plain>[0-9./]+|[0-9A-Fa-f:.]+/\d+))(?::(?P<port>\d{1,5}))?\Z")


class RefusedError(Exception):
    """An address that must not be connected to; its text is a sentence for whoever registered it."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """A network that the operator lets the service connect to; `port` None: any."""

    network: Network
    port: int | None = None


def read_allowed(text: str) -> tuple[Allowed, ...]:
    """Read a list of networks with commas between, each with a port or none. Raises ValueError with a sentence.

    `10.0.0.0/8`, `10.1.2.3/32:8443`, `fd00::/8`, `[fd00::/8]:8443`.
    """
    return tuple(_read_entry(entry.strip()) for entry in text.split(",") if entry.strip())


def _read_entry(entry: str) -> Allowed:
    found = _ENTRY.match(entry)
    port = int(found["port"]) if found and found["port"] else None
    with contextlib.suppress(ValueError):
        if found and port in (None, *range(1, 65536)):
            return Allowed(ip_network(found["bracketed"] or found["plain"]), port)
    message = f"{entry!r} is no network: write 10.0.0.0/8, 10.1.2.3/32:8443, fd00::/8 or [fd00::/8]:8443"
    raise ValueError(message)


def is_public(address: Address) -> bool:
    """Tell whether an address belongs to somebody on the open internet, as far as that can be told from it."""
    address = plain(address)
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _REFUSED_4)
    if address not in _PUBLIC_6 or any(address in network for network in _REFUSED_6):
        return False
    return int(address) >> 32 & 0xFFFF_FFFF not in _TUNNELLED


def plain(address: Address) -> Address:
    """Return what an address stands for: without a zone, and IPv4 where it is mapped into IPv6."""
    if isinstance(address, IPv4Address):
        return address
    return address.ipv4_mapped or IPv6Address(int(address))


@dataclass(frozen=True, slots=True)
class Guard:
    """The operator's rules. `http`: unencrypted requests may go to public addresses too."""

    allowed: tuple[Allowed, ...] = ()
    http: bool = False

    def check(self, addresses: Iterable[str], port: int, *, encrypted: bool) -> None:
        """Raise RefusedError unless every one of these may be connected to."""
        for text in addresses:
            address = plain(ip_address(text))
            if self._is_allowed(address, port):
                continue
            if not is_public(address):
                raise RefusedError(f"Its host is, or resolves to, an address that is not public. {_ADVICE}")
            if not encrypted and not self.http:
                raise RefusedError(f"It must begin with https. {_ADVICE}")

    def _is_allowed(self, address: Address, port: int) -> bool:
        return any(address in entry.network and entry.port in (None, port) for entry in self.allowed)
