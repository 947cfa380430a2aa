"""A URL is read in one way or refused with a sentence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.egress.urls import UrlError, read_url


@pytest.mark.parametrize(
    ("text", "host", "port", "literal"),
    [
        ("https://example.com", "example.com", 443, False),
        ("HTTPS://Example.COM:8443/a%20b?c=d", "example.com", 8443, False),
        ("http://example.com?a", "example.com", 80, False),
        ("https://xn--bcher-kva.example./", "xn--bcher-kva.example.", 443, False),
        ("https://8.8.8.8/", "8.8.8.8", 443, True),
        ("https://[2606:4700::1111]:444/", "2606:4700::1111", 444, True),
        ("https://localhost/", "localhost", 443, False),
        ("https://a.b-c.d9/@user:pass", "a.b-c.d9", 443, False),
    ],
)
def test_a_url_is_read(text: str, host: str, port: int, *, literal: bool) -> None:
    url = read_url(text)
    assert (url.host, url.port, url.literal, url.text) == (host, port, literal, text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "example.com", "//example.com", "ftp://example.com", "file:///etc/passwd", "https:example.com"),
        *(
            "https:///a",
            "https://",
            "https://user@example.com",
            "https://user:pass@example.com",
            "https://@example.com",
        ),
        *("https://example.com#a", "https://example.com/#", "https://example.com:0", "https://example.com:65536"),
        *(
            "https://example.com:",
            "https://example.com:08443000",
            "https://example.com:x",
            "https://example.com\\\\@10.0.0.1",
        ),
        *("https://127.1", "https://2130706433", "https://0x7f000001", "https://0x7f.0.0.1", "https://0177.0.0.1"),
        *("https://127.0.0.01", "https://1.2.3.4.5", "https://256.1.1.1", "https://1.2.3", "https://1.2.3.4."),
        *("https://\uff11\uff12\uff17.0.0.1", "https://b\u00fccher.example", "https://exa mple.com", "https://a\tb"),
        *("https://example.com/\r\nX: y", "https://example.com/\x00", "https://-a.example", "https://a-.example"),
        *("https://a..example", "https://.example", "https://a_b.example", "https://" + "a" * 64 + ".example"),
        *("https://" + "a." * 127 + "example", "https://example.com/" + "a" * 2048, "https://[::1", "https://::1"),
        *("https://[fe80::1%25eth0]", "https://[fe80::1%eth0]", "https://[127.0.0.1]", "https://[v1.x]", "https://[]"),
        *(
            "https://example.0x7f",
            "https://example.com%00.evil",
            "https://example.com:80:80",
            "https://a/b\\c",
        ),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(text: str) -> None:
    with pytest.raises(UrlError, match=r"^It"):
        read_url(text)


@given(st.text() | st.text("htps:/@[]0123456789abc.%#?\\x", max_size=40).map("https://".__add__))
def test_nothing_else_is_raised(text: str) -> None:
    try:
        url = read_url(text)
    except UrlError:
        return
    assert url.text == text
    assert 1 <= url.port <= 65535
