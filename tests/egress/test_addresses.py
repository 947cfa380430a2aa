"""Push connects to public addresses, and to what the operator allows."""

from ipaddress import IPv4Network, IPv6Network, ip_address

import pytest
from hypothesis import given
from hypothesis.strategies import ip_addresses

from service.egress.addresses import Allowed, Refused, Rules, parse_allowed

# Each range's first and last address, and what is famous in it.
_REFUSED = """
0.0.0.0 0.255.255.255
10.0.0.0 10.0.0.1 10.255.255.255
100.64.0.0 100.100.100.200 100.127.255.255
127.0.0.0 127.0.0.1 127.255.255.255
168.63.129.16
169.254.0.0 169.254.169.254 169.254.170.2 169.254.255.255
172.16.0.0 172.17.0.1 172.31.255.255
192.0.0.0 192.0.0.192 192.0.0.255
192.0.2.0 192.0.2.255
192.31.196.0 192.31.196.255
192.52.193.0 192.52.193.255
192.88.99.0 192.88.99.1 192.88.99.255
192.168.0.0 192.168.1.1 192.168.255.255
192.175.48.0 192.175.48.255
198.18.0.0 198.19.255.255
198.51.100.0 198.51.100.255
203.0.113.0 203.0.113.255
224.0.0.0 224.0.0.1 239.255.255.250 239.255.255.255
240.0.0.0 255.255.255.254 255.255.255.255
:: ::1 ::1%lo ::2 ::7f00:1 ::127.0.0.1 ::ffff:0:127.0.0.1
::ffff:0.0.0.0 ::ffff:127.0.0.1 ::ffff:7f00:1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::ffff:168.63.129.16
::ffff:224.0.0.1 ::ffff:255.255.255.255 ::ffff:127.0.0.1%eth0 ::fffe:8.8.8.8
64:ff9b:: 64:ff9b::127.0.0.1 64:ff9b::8.8.8.8 64:ff9b::a9fe:a9fe 64:ff9b:1::1 64:ff9b:1:ffff::169.254.169.254
100:: 100::1 100:0:0:1::1 200::1 400::1 800::1 1000::1 1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff
2001:: 2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:1::1 2001:2::1 2001:3::1 2001:4:112::1 2001:10::1 2001:20::1 2001:30::1
2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff
2001:db8:: 2001:db8:ffff:ffff:ffff:ffff:ffff:ffff
2002:: 2002:7f00:1:: 2002:a9fe:a9fe::1 2002:808:808::1 2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff
2620:4f:8000:: 2620:4f:8000:ffff:ffff:ffff:ffff:ffff
3fff:: 3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff
2606:4700::5efe:127.0.0.1 2606:4700::5efe:8.8.8.8 2606:4700::200:5efe:10.0.0.1 2a00:1450:4001:82a:200:5efe:a9fe:a9fe
4000:: 5f00::1 6000::1 8000::1 a000::1 c000::1 e000::1 f000::1 f800::1
fc00:: fd00:ec2::254 fd20:ce::254 fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff
fe00::1 fe80:: fe80::1 fe80::1%eth0 fe80::a9fe:a9fe febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff fec0::1 feff::1
ff00:: ff02::1 ff02::1%2 ff0e::1 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff
""".split()  # noqa: SIM905 - read more easily in lines

# The neighbours of the ranges above, and a few that everybody knows.
_PUBLIC = """
1.0.0.0 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0
168.63.129.15 168.63.129.17 169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0
191.255.255.255 192.0.1.0 192.0.1.255 192.0.3.0 192.31.195.255 192.31.197.0 192.52.192.255 192.52.194.0
192.88.98.255 192.88.100.0 192.167.255.255 192.169.0.0 192.175.47.255 192.175.49.0
198.17.255.255 198.20.0.0 198.51.99.255 198.51.101.0 203.0.112.255 203.0.114.0 223.255.255.255
1.1.1.1 8.8.8.8 9.9.9.9 ::ffff:8.8.8.8 ::ffff:808:808 ::ffff:8.8.8.8%eth0
2000:: 2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff
2001:200:: 2001:db7:ffff:ffff:ffff:ffff:ffff:ffff 2001:db9:: 2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff 2003::
2620:4f:7fff:ffff:ffff:ffff:ffff:ffff 2620:4f:8001:: 3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff
3fff:1000:: 3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff
2606:4700:4700::1111 2001:4860:4860::8888 2a00:1450:4001:82a::200e 2606:4700::1%eth0
2606:4700::5eff:127.0.0.1 2606:4700::5efd:127.0.0.1 2606:4700::100:5efe:127.0.0.1 2606:4700::1:5efe:127.0.0.1
2606:4700:5efe::1 2606:4700:0:5efe::1
""".split()  # noqa: SIM905 - read more easily in lines


def judge(rules: Rules, address: str, port: int = 443, *, http: bool = False) -> None:
    rules.judge(address, ip_address(address), port, http=http)


def test_the_tables_are_long_enough_to_mean_something() -> None:
    assert len(set(_REFUSED)) == len(_REFUSED) > 120
    assert len(set(_PUBLIC)) == len(_PUBLIC) > 55


@pytest.mark.parametrize("address", _REFUSED)
def test_what_is_not_public_is_refused_and_the_setting_named(address: str) -> None:
    with pytest.raises(Refused, match="RESTANTE_PUSH_ALLOW"):
        judge(Rules(http=True), address)


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("127.0.0.1", "loopback"),
        ("::1", "loopback"),
        ("::ffff:10.0.0.1", "private"),
        ("fd12::1", "private"),
        ("169.254.169.254", "metadata"),
        ("169.254.1.1", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("224.0.0.1", "multicast"),
        ("ff02::1", "multicast"),
        ("2002:7f00:1::", "tunnelled"),
        ("2606:4700::5efe:127.0.0.1", "tunnelled"),
        ("240.0.0.1", "reserved"),
        ("4000::1", "reserved"),
    ],
)
def test_a_refusal_names_the_kind_of_address_and_no_other(address: str, kind: str) -> None:
    with pytest.raises(Refused) as refused:
        judge(Rules(), address)
    kinds = ("loopback", "private", "link-local", "metadata", "multicast", "tunnelled", "reserved")
    assert [name for name in kinds if name in str(refused.value)] == [kind]


@pytest.mark.parametrize("address", _PUBLIC)
def test_what_is_public_is_not_refused(address: str) -> None:
    judge(Rules(), address)


@given(ip_addresses(v=4))
def test_an_address_written_as_ipv6_is_judged_as_the_ipv4_address_that_it_is(address: object) -> None:
    def refused(text: str) -> bool:
        try:
            judge(Rules(), text)
        except Refused:
            return True
        return False

    assert refused(str(address)) == refused(f"::ffff:{address}") == refused(f"::ffff:{address}%eth0")


def test_http_to_a_public_address_needs_a_setting() -> None:
    with pytest.raises(Refused, match="RESTANTE_PUSH_HTTP=1"):
        judge(Rules(parse_allowed("10.0.0.0/8")), "8.8.8.8", http=True)
    judge(Rules(http=True), "8.8.8.8", http=True)


def test_http_to_all_opens_no_private_network() -> None:
    with pytest.raises(Refused, match="RESTANTE_PUSH_ALLOW"):
        judge(Rules(http=True), "10.0.0.1", http=True)


@pytest.mark.parametrize(
    ("allowed", "address", "port"),
    [
        ("127.0.0.0/8", "127.0.0.1", 80),
        ("127.0.0.0/8", "127.255.255.255", 65535),
        ("127.0.0.0/8", "::ffff:127.0.0.1", 80),
        ("127.0.0.1", "127.0.0.1", 9000),
        ("127.0.0.1:9000", "127.0.0.1", 9000),
        ("10.0.0.0/8:8443", "10.9.8.7", 8443),
        ("fd00::/8", "fd12::1", 443),
        ("::1", "::1%lo", 443),
        ("[::1]", "::1", 443),
        ("[fd00::/8]:8443", "fd12::1", 8443),
        ("8.8.8.0/24", "8.8.8.8", 80),
        (" 10.0.0.0/8 , ,fd00::/8,", "fd00::1", 80),
        ("0.0.0.0/0", "169.254.169.254", 80),
    ],
)
def test_an_allowed_network_is_open_for_http_too(allowed: str, address: str, port: int) -> None:
    judge(Rules(parse_allowed(allowed)), address, port, http=True)


@pytest.mark.parametrize(
    ("allowed", "address", "port"),
    [
        ("127.0.0.0/8", "128.0.0.0", 80),
        ("127.0.0.0/8", "::1", 80),
        ("127.0.0.1", "127.0.0.2", 80),
        ("127.0.0.1:9000", "127.0.0.1", 9001),
        ("10.0.0.0/8:8443", "10.0.0.1", 443),
        ("[fd00::/8]:8443", "fd12::1", 443),
        ("::/0", "127.0.0.1", 80),
        ("", "127.0.0.1", 80),
    ],
)
def test_an_allowed_network_opens_nothing_else(allowed: str, address: str, port: int) -> None:
    with pytest.raises(Refused):
        judge(Rules(parse_allowed(allowed)), address, port, http=True)


def test_allowed_networks_are_read_and_written_in_the_same_form() -> None:
    text = "10.0.0.0/8,127.0.0.1/32:8443,fd00::/8,[fd00::/8]:8443"
    assert ",".join(map(str, parse_allowed(text))) == text
    assert parse_allowed("[fd00::/8]:8443,10.0.0.0/8") == (
        Allowed(IPv6Network("fd00::/8"), 8443),
        Allowed(IPv4Network("10.0.0.0/8")),
    )


@pytest.mark.parametrize(
    "entry",
    """
    10 10.0.0 10.0.0.0/33 10.0.0.0/8:0 10.0.0.0/8:65536 10.0.0.0/8:123456 10.0.0.0/8: 10.0.0.0/8:https :8443
    10.0.0.0/8:-1 010.0.0.0/8 0x0a000000 hooks.example hooks.example:443 https://10.0.0.0 * localhost / : [] []:80
    [10.0.0.0/8] [10.0.0.0/8]:80 [fd00::/8 fd00::/8] [fd00::/8]8443 [fd00::/8]: [fd00::/129] fe80::1%eth0
    [fe80::%eth0/64]:80 [::ffff:10.0.0.0/104] ::ffff:0:0/96 10.0.0.1/8 fd00::1/8 [fd00::1/8]:80 10.0.0.0/8;fd00::/8
    \u0661\u0660.0.0.0/8 10.0.0.0/8:\u0668\u0660
    """.split(),  # noqa: SIM905
)
def test_what_is_not_a_network_is_told_in_a_sentence_with_the_entry(entry: str) -> None:
    with pytest.raises(ValueError, match=r"^'.+' (is|has|names) ") as told:
        parse_allowed(f"127.0.0.0/8, {entry}")
    assert repr(entry) in str(told.value)
