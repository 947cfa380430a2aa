"""Secrets may stand in files, as containers and systemd hand them over."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from service.settings import Settings

_SECRETS = [
    ("root_key", "r" * 32),
    ("secret_key", "s" * 32),
    ("database_url", "postgresql://db.internal/restante"),
    ("database_direct_url", "postgresql://db.internal/restante"),
]


@pytest.mark.parametrize(("name", "secret"), _SECRETS)
def test_a_secret_may_stand_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, secret: str) -> None:
    (tmp_path / "secret").write_text(f"{secret}\n")
    monkeypatch.setenv(f"RESTANTE_{name.upper()}_FILE", str(tmp_path / "secret"))
    assert getattr(Settings(), name).get_secret_value() == secret


def test_former_keys_may_stand_in_a_file_one_a_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(f"{'a' * 32}\n{'b' * 32}\n")
    monkeypatch.setenv("RESTANTE_SECRET_KEYS_OLD_FILE", str(tmp_path / "keys"))
    assert [key.get_secret_value()[0] for key in Settings().secret_keys_old] == ["a", "b"]


def test_a_file_that_cannot_be_read_or_contradicts_is_told_with_its_variable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for content in (None, b"\xff\xfe", b"short"):
        file = tmp_path / "secret"
        if content is not None:
            file.write_bytes(content)
        monkeypatch.setenv("RESTANTE_SECRET_KEY_FILE", str(file))
        with pytest.raises(ValidationError, match=r"(?i)secret_key"):
            Settings()
    monkeypatch.setenv("RESTANTE_SECRET_KEY", "s" * 32)
    with pytest.raises(ValidationError, match="RESTANTE_SECRET_KEY and RESTANTE_SECRET_KEY_FILE are both set"):
        Settings()
