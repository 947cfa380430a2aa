"""The addresses that webhooks may use: public ones, and networks that the operator allows.

Python's `is_global` is not sufficient. It follows the registry of special addresses and accepts multicast, 6to4, relays
and IPv4 embedded in IPv6, so this module has its own lists.
"""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# The refused networks, with the kind of address that the error names.
_REFUSED_4 = {
    IPv4Network(text): kind
    for text, kind in (
        ("0.0.0.0/8", "loopback"),  # "this network"; Linux connects to loopback
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "private"),  # behind a carrier's address translation
        ("127.0.0.0/8", "loopback"),
        ("168.63.129.16/32", "metadata"),  # Azure's platform services, although the number is public
        ("169.254.169.254/32", "metadata"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "reserved"),
        ("192.31.196.0/24", "reserved"),
        ("192.52.193.0/24", "reserved"),
        ("192.88.99.0/24", "tunnelled"),  # relays into 6to4
        ("192.168.0.0/16", "private"),
        ("192.175.48.0/24", "reserved"),
        ("198.18.0.0/15", "reserved"),
        ("198.51.100.0/24", "reserved"),
        ("203.0.113.0/24", "reserved"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
    )
}
# The only global unicast network; all others are unassigned, translated or listed below.
_PUBLIC_6 = IPv6Network("2000::/3")
_REFUSED_6 = {
    IPv6Network(text): kind
    for text, kind in (
        ("::1/128", "loopback"),
        ("::/128", "loopback"),
        ("64:ff9b::/96", "tunnelled"),
        ("2001::/32", "tunnelled"),  # Teredo
        ("2001::/23", "reserved"),  # ORCHID, benchmarks
        ("2001:db8::/32", "reserved"),
        ("2002::/16", "tunnelled"),  # 6to4: an IPv4 address inside
        ("2620:4f:8000::/48", "reserved"),
        ("3fff::/20", "reserved"),
        ("fd00:ec2::254/128", "metadata"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("ff00::/8", "multicast"),
    )
}
# ISATAP: the interface id begins with one of these numbers and ends with an IPv4 address.
_TUNNELS = frozenset({0x00005EFE, 0x02005EFE})

_ENTRY = re.compile(r"\[(?P<bracketed>[^]]*)](?::(?P<port_6>[0-9]{1,5}))?|(?P<plain>[^:]*)(?::(?P<port_4>[0-9]{1,5}))?")


class Refused(Exception):  # noqa: N818 - named after what happened
    """The address may not be connected to. The text is for the user; it never reveals the address of a name."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """A network that the operator allows, for one port or all ports."""

    network: Network
    port: int | None = None

    def __str__(self) -> str:
        """Return the network in the syntax of RESTANTE_PUSH_ALLOW."""
        if self.port is None:
            return str(self.network)
        return f"{self.network}:{self.port}" if self.network.version == 4 else f"[{self.network}]:{self.port}"

    def covers(self, address: Address, port: int) -> bool:
        """Return whether this allows a connection to the address and port."""
        return address in self.network and self.port in {None, port}


@dataclass(frozen=True, slots=True)
class Rules:
    """The operator's rules. `http` allows plain http to public addresses; allowed networks always permit it."""

    allowed: tuple[Allowed, ...] = ()
    http: bool = False

    def judge(self, host: str, address: Address, port: int, *, http: bool) -> None:
        """Raise Refused unless the address, which is the host or which its name resolves to, may be connected to."""
        concrete = bare(address)
        if any(allowed.covers(concrete, port) for allowed in self.allowed):
            return
        if (kind := kind_of(concrete)) is not None:
            raise Refused(
                f"{host} does not have a public address: it is {kind}. Use a public one; the operator can allow its "
                "network with RESTANTE_PUSH_ALLOW."
            )
        if http:
            self.judge_http(host)

    def judge_http(self, host: str) -> None:
        """Raise Refused unless http is permitted to a host outside the allowed networks."""
        if not self.http:
            raise Refused(
                f"http to {host} is refused because it is not encrypted. Use https; the operator can allow http to a "
                "network with RESTANTE_PUSH_ALLOW, and to all public addresses with RESTANTE_PUSH_HTTP=1."
            )


def bare(address: Address) -> Address:
    """Return the address without its zone, and as IPv4 if it is an IPv4-mapped IPv6 address."""
    if isinstance(address, IPv4Address):
        return address
    return address.ipv4_mapped or IPv6Address(int(address))


def kind_of(address: Address) -> str | None:
    """Return why a bare address is not public, such as `private` or `loopback`; None if it is public."""
    refused = _REFUSED_4 if isinstance(address, IPv4Address) else _REFUSED_6
    found = next((kind for network, kind in refused.items() if address in network), None)
    if found is None and isinstance(address, IPv6Address):
        if int(address) >> 32 & 0xFFFF_FFFF in _TUNNELS:
            return "tunnelled"
        return None if address in _PUBLIC_6 else "reserved"
    return found


def literal(host: str) -> Address | None:
    """Return the host as an address, or None if it is a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None


def parse_allowed(text: str) -> tuple[Allowed, ...]:
    """Parse RESTANTE_PUSH_ALLOW, such as `10.0.0.0/8, 127.0.0.1:8443, fd00::/8, [fd00::/8]:8443`.

    Raises ValueError with a sentence for the operator.
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
        raise ValueError(f"{_shown(text)} has a port outside 1 to 65535")
    network = _network(found["plain"] if found["bracketed"] is None else found["bracketed"], text)
    if (network.version == 6) == (found["bracketed"] is None):
        raise ValueError(f"{_shown(text)} {_FORMS}")
    return Allowed(network, None if port is None else int(port))


def _network(text: str, entry: str) -> Network:
    """Parse a network. IPv4-mapped IPv6 networks are refused, because they would never match (see `bare`)."""
    try:
        network = ip_network(text.replace("%", "no zones"), strict=False)
    except ValueError:
        raise ValueError(f"{_shown(entry)} {_FORMS}") from None
    if ip_address(text.partition("/")[0]) != network.network_address:
        raise ValueError(f"{_shown(entry)} has bits set after its prefix; write {network} for the whole network")
    if isinstance(network, IPv6Network) and network.network_address.ipv4_mapped is not None:
        raise ValueError(f"{_shown(entry)} is an IPv4 network written as IPv6; write it as IPv4")
    return network


_FORMS = "is not a network: write 10.0.0.0/8 or fd00::/8, or with a port 10.0.0.0/8:8443 or [fd00::/8]:8443"


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:60]}…")
