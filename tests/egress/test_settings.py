"""The operator's settings of push are read at the start, or a sentence says what is wrong."""

import pytest
from pydantic import ValidationError

from service.egress.addresses import parse_allowed
from service.settings import Settings


def test_nothing_is_allowed_by_default() -> None:
    settings = Settings()
    assert (settings.push_allow, settings.push_http) == ((), False)


def test_networks_are_a_list_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "127.0.0.0/8,10.0.0.0/8:8443, [fd00::/8]:8443"
    monkeypatch.setenv("RESTANTE_PUSH_ALLOW", text)
    monkeypatch.setenv("RESTANTE_PUSH_HTTP", "1")
    settings = Settings()
    assert (settings.push_allow, settings.push_http) == (parse_allowed(text), True)


def test_a_mistake_is_told_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESTANTE_PUSH_ALLOW", "10.0.0.1/8")
    with pytest.raises(ValidationError, match=r"write 10\.0\.0\.0/8 for the whole network") as told:
        Settings()
    assert [error["loc"] for error in told.value.errors()] == [("push_allow",)]
