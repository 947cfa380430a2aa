"""Nothing that is not on the open internet is public, in whatever form it is written."""

from ipaddress import IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.egress.addresses import Allowed, Guard, RefusedError, is_public, read_allowed

_HOSTILE = (
    *("0.0.0.0", "0.255.255.255", "10.0.0.0", "10.255.255.255", "100.64.0.0", "100.127.255.255", "127.0.0.1"),
    *("127.255.255.255", "168.63.129.16", "169.254.0.0", "169.254.169.254", "169.254.255.255", "172.16.0.0"),
    *("172.31.255.255", "192.0.0.0", "192.0.0.255", "192.0.2.0", "192.0.2.255", "192.31.196.1", "192.52.193.1"),
    *("192.88.99.0", "192.88.99.255", "192.168.0.0", "192.168.255.255", "192.175.48.6", "198.18.0.0"),
    *("198.19.255.255", "198.51.100.0", "198.51.100.255", "203.0.113.0", "203.0.113.255", "224.0.0.0"),
    *("239.255.255.255", "240.0.0.0", "255.255.255.255"),
    *("::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::7f00:1"),
    *("64:ff9b:1::1", "100::1", "2001::1", "2001:1ff:ffff::1", "2001:db8::1", "2002:7f00:1::", "2002:a00:1::1"),
    *("2620:4f:8000::1", "3fff::1", "3fff:fff::1", "fc00::1", "fd00:ec2::254", "fdff::1", "fe80::1", "fec0::1"),
    *("ff02::1", "ff0e::1", "5f00::1", "4000::1", "1fff::1", "2606:4700::5efe:7f00:1", "2606:4700::200:5efe:a00:1"),
)
_PUBLIC = (
    *("1.0.0.0", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0"),
    *("168.63.129.15", "168.63.129.17", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0"),
    *("192.0.1.0", "192.0.3.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "203.0.114.0"),
    *("223.255.255.255", "8.8.8.8", "::ffff:8.8.8.8"),
    *("2000::1", "2001:200::1", "2001:4860:4860::8888", "2003::1", "2606:4700::1111", "2620:4f:7fff::1", "3ffe::1"),
)


@pytest.mark.parametrize("text", _HOSTILE)
def test_what_is_not_public_is_refused(text: str) -> None:
    assert not is_public(ip_address(text))
    with pytest.raises(RefusedError, match="RESTANTE_PUSH_ALLOW"):
        Guard(http=True).check(["8.8.8.8", text], 443, encrypted=True)


@pytest.mark.parametrize("text", _PUBLIC)
def test_what_is_next_to_it_is_public(text: str) -> None:
    assert is_public(ip_address(text))
    Guard().check([text], 443, encrypted=True)


def test_a_zone_changes_nothing() -> None:
    assert not is_public(ip_address("fe80::1%eth0"))
    assert is_public(ip_address("2606:4700::1111%eth0"))


@given(st.integers(0, 2**128 - 1))
def test_what_is_public_is_global_to_others_too(number: int) -> None:
    address = IPv6Address(number)
    assert not is_public(address) or address.is_global or address.ipv4_mapped is not None


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("", ()),
        ("10.0.0.0/8", (Allowed(ip_network("10.0.0.0/8")),)),
        (" 10.1.2.3/32:8443 , fd00::/8", (Allowed(ip_network("10.1.2.3/32"), 8443), Allowed(ip_network("fd00::/8")))),
        ("[fd00::/8]:8443", (Allowed(ip_network("fd00::/8"), 8443),)),
        ("127.0.0.1", (Allowed(ip_network("127.0.0.1/32")),)),
    ],
)
def test_the_operators_list_is_read(text: str, allowed: tuple[Allowed, ...]) -> None:
    assert read_allowed(text) == allowed


@pytest.mark.parametrize(
    "text", ["localhost", "10.0.0.0/33", "10.0.0.1/8", "10.0.0.0/8:0", "10.0.0.0/8:65536", "/", "[::1"]
)
def test_what_is_no_network_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match="write 10"):
        read_allowed(text)


def test_an_allowed_network_is_allowed_at_its_port_and_without_encryption() -> None:
    guard = Guard(read_allowed("10.0.0.0/8:8443,127.0.0.0/8"))
    guard.check(["10.1.2.3", "::ffff:10.1.2.3"], 8443, encrypted=True)
    guard.check(["127.0.0.1"], 80, encrypted=False)
    with pytest.raises(RefusedError):
        guard.check(["10.1.2.3"], 443, encrypted=True)
    with pytest.raises(RefusedError, match="https"):
        guard.check(["8.8.8.8"], 80, encrypted=False)
    Guard(http=True).check(["8.8.8.8"], 80, encrypted=False)
