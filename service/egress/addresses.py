"""Which addresses push may connect to: the public ones, and what the operator allows.

The lists are our own. Python's `is_global` answers for the registry of special addresses, not for what an address
reaches: it passes multicast, 6to4, relays, and IPv4 wrapped in IPv6.
"""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_REFUSED_4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network; Linux connects it to loopback
        "10.0.0.0/8",
        "100.64.0.0/10",  # behind a carrier's address translation
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's platform, public by its number only
        "169.254.0.0/16",  # link-local, and the clouds' metadata
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",  # relays into 6to4
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
# All else of IPv6 is loopback, local, multicast, translated or not given out.
_PUBLIC_6 = IPv6Network("2000::/3")
_REFUSED_6 = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # Teredo, ORCHID, benchmarks
        "2001:db8::/32",
        "2002::/16",  # 6to4: an IPv4 address inside
        "2620:4f:8000::/48",
        "3fff::/20",
    )
)
# ISATAP: the interface's id begins so, and ends with an IPv4 address.
_TUNNELS = frozenset({0x00005EFE, 0x02005EFE})

_ENTRY = re.compile(r"\[(?P<bracketed>[^]]*)](?::(?P<port_6>[0-9]{1,5}))?|(?P<plain>[^:]*)(?::(?P<port_4>[0-9]{1,5}))?")


class Refused(Exception):  # noqa: N818 - it says what happened
    """Push may not connect there. The text is for the user, and keeps to itself where a name leads."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """A network that the operator opens, at one port or at all."""

    network: Network
    port: int | None = None

    def __str__(self) -> str:
        """Return it as the operator would write it."""
        if self.port is None:
            return str(self.network)
        return f"{self.network}:{self.port}" if self.network.version == 4 else f"[{self.network}]:{self.port}"

    def covers(self, address: Address, port: int) -> bool:
        """Tell whether a connection there is opened by this."""
        return address in self.network and self.port in {None, port}


@dataclass(frozen=True, slots=True)
class Rules:
    """What this operator lets push connect to; `http` is for public addresses, allowed networks have it anyway."""

    allowed: tuple[Allowed, ...] = ()
    http: bool = False

    def judge(self, host: str, address: Address, port: int, *, http: bool) -> None:
        """Raise Refused unless push may connect to the address, which is the host or what its name leads to."""
        concrete = bare(address)
        if any(allowed.covers(concrete, port) for allowed in self.allowed):
            return
        if not is_public(concrete):
            raise Refused(
                f"{host} is not at a public address: loopback, private, link-local, metadata, multicast and tunnelled "
                "addresses are refused. Use a public one; the operator can allow its network with RESTANTE_PUSH_ALLOW."
            )
        if http:
            self.judge_http(host)

    def judge_http(self, host: str) -> None:
        """Raise Refused unless http may be spoken to a host that is in no allowed network."""
        if not self.http:
            raise Refused(
                f"http to {host} is refused: what is sent could be read on its way. Use https; the operator can allow "
                "http to a network with RESTANTE_PUSH_ALLOW, and to all with RESTANTE_PUSH_HTTP=1."
            )


def bare(address: Address) -> Address:
    """Return the address that packets would go to: without a zone, and IPv4 if it is only written as IPv6."""
    if isinstance(address, IPv4Address):
        return address
    return address.ipv4_mapped or IPv6Address(int(address))


def is_public(address: Address) -> bool:
    """Tell whether a bare address belongs to the public Internet, wherever packets for it may end."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _REFUSED_4)
    if address not in _PUBLIC_6 or any(address in network for network in _REFUSED_6):
        return False
    return int(address) >> 32 & 0xFFFF_FFFF not in _TUNNELS


def literal(host: str) -> Address | None:
    """Return the address that a host is written as, or None if it is a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None


def parse_allowed(text: str) -> tuple[Allowed, ...]:
    """Read `10.0.0.0/8, 127.0.0.1:8443, fd00::/8, [fd00::/8]:8443`.

    Raises:
        ValueError: with a sentence for the operator.
    """
    return tuple(_entry(entry.strip()) for entry in text.split(",") if entry.strip())


def _entry(text: str) -> Allowed:
    if text.count(":") > 1 and not text.startswith("["):
        return Allowed(_network(text, text))
    found = _ENTRY.fullmatch(text)
    if found is None:
        raise ValueError(f"{_shown(text)} {_FORMS}")
    port = found["port_4"] or found["port_6"]
    if port is not None and not 1 <= int(port) <= 65535:
        raise ValueError(f"{_shown(text)} names a port that is not 1 to 65535")
    network = _network(found["plain"] if found["bracketed"] is None else found["bracketed"], text)
    if (network.version == 6) == (found["bracketed"] is None):
        raise ValueError(f"{_shown(text)} {_FORMS}")
    return Allowed(network, None if port is None else int(port))


def _network(text: str, entry: str) -> Network:
    """Read a network; what is written as IPv6 and means IPv4 would match nothing."""
    try:
        network = ip_network(text.replace("%", "no zones"), strict=False)
    except ValueError:
        raise ValueError(f"{_shown(entry)} {_FORMS}") from None
    if ip_address(text.partition("/")[0]) != network.network_address:
        raise ValueError(f"{_shown(entry)} has bits behind its prefix; write {network} for the whole network")
    if isinstance(network, IPv6Network) and network.network_address.ipv4_mapped is not None:
        raise ValueError(f"{_shown(entry)} is an IPv4 network written as IPv6; write it as IPv4")
    return network


_FORMS = "is not a network: write 10.0.0.0/8 or fd00::/8, and with a port 10.0.0.0/8:8443 or [fd00::/8]:8443"


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:60]}…")
