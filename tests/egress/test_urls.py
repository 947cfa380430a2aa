"""A URL is read in one way or refused with a sentence."""

from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.egress.addresses import literal
from service.egress.urls import BadUrl, Target, parse


@pytest.mark.parametrize(
    ("text", "scheme", "host", "port", "target"),
    [
        ("https://hooks.example", "https", "hooks.example", 443, "/"),
        ("https://hooks.example/", "https", "hooks.example", 443, "/"),
        ("HTTPS://Hooks.EXAMPLE:8443/In?Q=1", "https", "hooks.example", 8443, "/In?Q=1"),
        ("http://hooks.example:443/", "http", "hooks.example", 443, "/"),
        ("https://hooks.example:65535?a=1", "https", "hooks.example", 65535, "/?a=1"),
        ("https://hooks.example?", "https", "hooks.example", 443, "/"),
        ("https://hooks.example//a/../b/./%7e%7E//?x=/?&y[]=%00+", "https", "hooks.example", 443, None),
        ("https://hooks.example/@user:name", "https", "hooks.example", 443, "/@user:name"),
        ("http://8.8.8.8/", "http", "8.8.8.8", 80, "/"),
        ("http://127.0.0.1:9000/x", "http", "127.0.0.1", 9000, "/x"),
        ("https://[2606:4700:4700::1111]/", "https", "2606:4700:4700::1111", 443, "/"),
        ("https://[2606:4700:4700:0:0:0:0:1111]:8443", "https", "2606:4700:4700::1111", 8443, "/"),
        ("https://[::1]/", "https", "::1", 443, "/"),
        ("https://xn--bcher-kva.example/", "https", "xn--bcher-kva.example", 443, "/"),
        ("http://receiver:9000/", "http", "receiver", 9000, "/"),
        ("https://4.3.2.1a/", "https", "4.3.2.1a", 443, "/"),
        ("https://1-2.3x.a1/", "https", "1-2.3x.a1", 443, "/"),
        (f"https://{'a' * 63}.example/", "https", f"{'a' * 63}.example", 443, "/"),
    ],
)
def test_a_url_has_these_parts(text: str, scheme: str, host: str, port: int, target: str | None) -> None:
    expected = target or text[text.index("/", 8) :]
    assert parse(text) == Target(scheme, host, port, expected, text)


@pytest.mark.parametrize(
    ("text", "about"),
    [
        *((text, "begin with https") for text in (
            "", "h", "hooks.example", "//hooks.example/", "/in", "https:", "https:/", "https:hooks.example",
            "https:/hooks.example", "ftp://hooks.example/", "file:///etc/passwd", "gopher://127.0.0.1:6379/_x",
            "unix:///var/run/docker.sock", "javascript://x", "data:text/plain,x", "httpss://x", "http+unix://x", "1://x",
            "://hooks.example", "dict://127.0.0.1:11211/", "ws://hooks.example", "tcp://hooks.example",
        )),
        *((text, "credentials") for text in (
            "https://user@hooks.example/", "https://user:word@hooks.example/", "https://@hooks.example/",
            "https://8.8.8.8@127.0.0.1/", "https://127.0.0.1:80@8.8.8.8/", "https://a@b@c/", "https://a%40b@c/",
            "https://hooks.example:443@127.0.0.1/", "https://[::1]@8.8.8.8/",
        )),
        *((text, "fragment") for text in (
            "https://hooks.example/#", "https://hooks.example/#x", "https://hooks.example#@127.0.0.1/", "https://#",
            "https://hooks.example/?a#b",
        )),
        *((text, "port") for text in (
            "https://hooks.example:0/", "https://hooks.example:65536/", "https://hooks.example:99999/",
            "https://hooks.example:100000/", "https://hooks.example:/", "https://hooks.example:-1/",
            "https://hooks.example:+80/", "https://hooks.example:0443/",
            "https://hooks.example:http/", "https://hooks.example:0x50/", "https://hooks.example:8_0/",
            "https://[::1]:/", "https://[::1]:0/", "https://hooks.example:443.0/",
        )),
        *((text, "four decimal numbers") for text in (
            "https:///", "https:///in", "https://:443/", "https://?x", "https://./", "https://../", "https://hooks.example./",
            "https://127.1/", "https://127.0.1/", "https://2130706433/", "https://017700000001/", "https://0177.0.0.1/",
            "https://0x7f.0.0.1/", "https://0x7f000001/", "https://0X7F000001/", "https://127.0.0.0x1/", "https://0x/",
            "https://127.0.0.0x/", "https://127.0.0.01/", "https://127.0.0.001/", "https://256.0.0.1/", "https://1.2.3.4.5/",
            "https://1.2.3.4./", "https://1.2.3./", "https://.1.2.3.4/", "https://0/", "https://00000000/", "https://1e3.1/",
            "https://hooks.1/", "https://hooks.123/", "https://1.2.3.-4/", "https://a.-/",
        )),
        *((text, "The host must be a name of") for text in (
            "https://-hooks.example/", "https://hooks-.example/", "https://hooks..example/", "https://.hooks.example/",
            "https://my_hooks.example/", "https://hooks%2eexample/", "https://127.0.0.1%2eexample/", "https://%6cocalhost/",
            "https://hooks.exam*ple/", "https://hooks,example/", "https://hooks.example;a/", "https://a=b/", "https://a&b/",
            "https://'hooks'/", "https://(hooks)/", "https://hooks!/", "https://$host/", "https://{host}/", "https://a|b/",
            "https://<hooks>/", 'https://"hooks"/', "https://a^b/", "https://a`b/", "https://~hooks/", "https://a+b.example/",
            f"https://{'a' * 64}.example/", f"https://{'a.' * 130}example/", "https://hooks.example%00/", "https://127.0.0.1%2f/",
        )),
        *((text, "must be an IPv6 address") for text in (
            "https://[]/", "https://[:]/", "https://[::1::]/", "https://[127.0.0.1]/", "https://[hooks.example]/",
            "https://[v1.x]/", "https://[12345::1]/", "https://[::ffff:127.1]/", "https://[::ffff:0x7f.0.0.1]/",
            "https://[1:2:3:4:5:6:7]/", "https://[1:2:3:4:5:6:7:8:9]/",
        )),
        *((text, "zone") for text in (
            "https://[fe80::1%eth0]/", "https://[fe80::1%25eth0]/", "https://[::1%]/", "https://[2606:4700::1%1]:443/",
        )),
        *((text, "host is invalid") for text in (
            "https://[::1", "https://::1]", "https://[::1]x/", "https://x[::1]/", "https://[::1]]/", "https://[::1]443/",
            "https://]/", "https://hooks[.]example/", "https://::1/", "https://2606:4700::1/", "https://[::1/64]/",
            "https://hooks.example:80:80/", "https://::/",
        )),
        *((text, "backslash") for text in (
            "https:\\\\hooks.example\\", "https://hooks.example\\@127.0.0.1/", "https://hooks.example/a\\b",
            "\\\\hooks.example\\in", "https://hooks.example\\.127.0.0.1/",
        )),
        *((text, "spaces or control") for text in (
            " https://hooks.example/", "https://hooks.example/ ", "https://hooks.example/a b", "https://hooks.example\t/",
            "ht\ntps://hooks.example/", "https://hooks.example/\r\nHost: x", "https://hooks.example/\x00", "https://a\x7fb/",
            "https://hooks.example\x0b/", "https:// hooks.example/", "https://127.0.0.1\n.hooks.example/", "\x01",
        )),
        *((text, "xn--") for text in (
            "https://bücher.example/", "https://\uff11\uff12\uff17.0.0.1/",
            "https://127。0。0。1/", "https://ⓛocalhost/", "https://①②⑦.0.0.1/",
            "https://hooks.example\uff0fin", "https://hooks.example\uff1a443/", "https://hooks\u00adexample/", "https://hooks\u200b.example",
            "https://٣.example/", "https://hooks.example/ü", "https://hooks.example/\ud800", "https://hooks.example/\u2028",
            "\uff48ttps://hooks.example/", "https://\ufeffhooks.example/", "https://a\u2100b.example/", "https://ex.ample\u2024com/",
        )),
        *((text, "percent-encoded") for text in (
            "https://hooks.example/%", "https://hooks.example/%4", "https://hooks.example/%zz", "https://hooks.example/?%u0041",
            'https://hooks.example/"', "https://hooks.example/<", "https://hooks.example/{id}", "https://hooks.example/a|b",
            "https://hooks.example/^", "https://hooks.example/`",
        )),
        (f"https://hooks.example/{'a' * 2048}", "2,048 characters"),
    ],
)  # fmt: skip
def test_a_url_that_could_be_read_in_two_ways_is_refused_with_a_sentence(text: str, about: str) -> None:
    with pytest.raises(BadUrl, match=about) as refused:
        parse(text)
    assert str(refused.value).endswith(".")


def test_a_url_may_have_2048_characters() -> None:
    text = "https://hooks.example/".ljust(2048, "a")
    assert parse(text).text == text
    with pytest.raises(BadUrl):
        parse(f"{text}a")


_PIECES = st.sampled_from(
    [
        *":/?#[]@%\\.-_\t\n\0 09aZ\u0661",
        "http",
        "https",
        "://",
        "127.0.0.1",
        "::1",
        "0x7f",
        "example",
        "xn--",
        "%00",
        "443",
        "ü",
    ]
)


@given(st.text() | st.builds("https://{}".format, st.text()) | st.lists(_PIECES).map("".join))
@example("https://[")
@example("https://[::ffff:1.2.3.4]:1/")
def test_whatever_the_text_it_is_a_target_or_a_sentence_and_other_readers_agree(text: str) -> None:
    try:
        target = parse(text)
    except BadUrl:
        return
    other = urlsplit(target.text)
    assert other.scheme == target.scheme in {"http", "https"}
    assert 1 <= target.port == (other.port or {"http": 80, "https": 443}[target.scheme]) <= 65535
    assert other.hostname is not None
    assert (literal(target.host) or target.host) == (literal(other.hostname) or other.hostname)
    assert other.username is other.password is None
    assert target.target.startswith("/")


@given(
    st.sampled_from(["http", "https"]),
    st.ip_addresses().map(lambda address: f"[{address}]" if address.version == 6 else str(address))
    | st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?(\.[a-z][a-z0-9]{0,8}){1,3}", fullmatch=True),
    st.none() | st.integers(1, 65535),
    st.from_regex(r"(/[A-Za-z0-9._~!$&'()*+,;=:@-]*){0,3}(\?([a-z=&/?]|%[0-9A-F]{2})*)?", fullmatch=True),
)
def test_every_ordinary_url_is_read(scheme: str, host: str, port: int | None, target: str) -> None:
    text = f"{scheme}://{host}{'' if port is None else f':{port}'}{target}"
    read = parse(text)
    assert (read.scheme, read.text) == (scheme, text)
    assert read.target in {target, f"/{target}", target.removesuffix("?"), f"/{target.removesuffix('?')}"}
