"""The operator's settings: environment variables that start with RESTANTE_ (docs/reference/settings.md)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from service.egress.addresses import Allowed, parse_allowed

MIB = 1024 * 1024

_PREFIX = "RESTANTE_"
_OF_THE_COMMAND_LINE = {"URL"}
_OF_KUBERNETES = re.compile(r"_SERVICE_(HOST|PORT)(_|$)|_PORT_[0-9]+_(TCP|UDP|SCTP)(_|$)")


class Settings(BaseSettings):
    """The settings, which are read once at startup and passed down; no other code reads the environment."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, env_ignore_empty=True, extra="ignore", frozen=True)

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8080, ge=0, le=65535, description="Port to listen on; 0 selects a free port.")
    processes: int = Field(1, ge=1, le=64, description="Service processes that share the port.")
    data_dir: Path = Field(Path(".restante"), description="Folder of the embedded database, root key and secret key.")
    root_key: SecretStr | None = Field(
        None,
        description=(
            "The operator's key, 20 to 200 visible ASCII characters. By default created in the data folder on first "
            "start."
        ),
    )
    secret_key: SecretStr | None = Field(
        None,
        description=(
            "The key that signs receipts and cursors and encrypts secrets, 32 to 200 visible ASCII characters. By "
            "default created in the data folder on first start; required with RESTANTE_DATABASE_URL."
        ),
    )
    secret_keys_old: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (),
        description=("Former secret keys, separated by spaces. Data signed or encrypted with them can still be read."),
    )
    database_url: SecretStr | None = Field(
        None,
        description=(
            "URL of a PostgreSQL server (15 or newer): postgresql://user:password@host/name. Default: an embedded "
            "server."
        ),
    )
    database_direct_url: SecretStr | None = Field(
        None,
        description=(
            "URL of the same database that bypasses a pooler such as PgBouncer, for persistent connections. Default: "
            "RESTANTE_DATABASE_URL."
        ),
    )
    root_key_file: Path | None = Field(None, description="File to read RESTANTE_ROOT_KEY from.")
    secret_key_file: Path | None = Field(None, description="File to read RESTANTE_SECRET_KEY from.")
    secret_keys_old_file: Path | None = Field(None, description="File to read RESTANTE_SECRET_KEYS_OLD from.")
    database_url_file: Path | None = Field(None, description="File to read RESTANTE_DATABASE_URL from.")
    database_direct_url_file: Path | None = Field(None, description="File to read RESTANTE_DATABASE_DIRECT_URL from.")
    auto_migrate: bool = Field(default=True, description="Upgrade the database schema on start.")
    express: bool = Field(
        default=True,
        description="Answer hot operations before FastAPI. If off, responses are the same but several times slower.",
    )
    max_message_bytes: int = Field(
        MIB,
        ge=1024,
        le=7 * MIB,
        description="Maximum for a queue's `max_message_bytes`, which limits body and headers together.",
    )
    disk_reserve_bytes: int = Field(
        512 * MIB,
        ge=0,
        description=(
            "Bytes on the embedded database's disk that are reserved for receiving and deleting: if less is free, "
            "sends are refused (507)."
        ),
    )
    max_parked_receives: int = Field(
        20_000,
        ge=1,
        description="Maximum number of waiting receives per process; further receives are answered without waiting.",
    )
    keep_alive: float = Field(
        75,
        ge=1,
        le=3600,
        description=(
            "Seconds that an idle connection is kept open. Set it higher than the idle timeout of the load balancer or "
            "proxy in front, which might otherwise send a request on a connection that is being closed."
        ),
    )
    push_allow: Annotated[tuple[Allowed, ...], NoDecode] = Field(
        (),
        description=(
            "Non-public networks that webhooks may use, with https and http: `10.0.0.0/8`, `fd00::/8`, or with a "
            "single port `10.0.0.0/8:8443`, `[fd00::/8]:8443`."
        ),
    )
    push_http: bool = Field(default=False, description="Allow webhooks with unencrypted http to public addresses.")
    allowed_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Origins of web pages that may use the API, besides the service's own: `https://app.example.com`.",
    )
    log_level: str = Field("info", pattern="^(debug|info|warning|error)$", description="debug, info, warning or error.")
    log_format: str = Field(
        "auto", description="json, text, or auto: text on a terminal.", pattern="^(json|text|auto)$"
    )

    @classmethod
    def unknown(cls, environment: Mapping[str, str]) -> dict[str, str | None]:
        """Return the unknown RESTANTE_ variables, each with the setting that has the most similar name, if any."""
        known = {name.upper() for name in cls.model_fields} | _OF_THE_COMMAND_LINE
        unknown = {
            name.removeprefix(_PREFIX)
            for name, value in environment.items()
            if name.startswith(_PREFIX) and not _is_of_kubernetes(name, value)
        } - known
        near = {name: get_close_matches(name, known, n=1) for name in sorted(unknown)}
        return {f"{_PREFIX}{name}": f"{_PREFIX}{found[0]}" if found else None for name, found in near.items()}

    @property
    def push_opened(self) -> str:
        """Return, for display, the destinations that webhooks may use besides public addresses with https."""
        opened = [str(network) for network in self.push_allow] + ["http to public addresses"] * self.push_http
        return ", ".join(opened)

    @model_validator(mode="before")
    @classmethod
    def _read_files(cls, values: Any) -> Any:
        """Read settings from files, if their _FILE variables are set."""
        named = [name for name in cls.model_fields if f"{name}_file" in values]
        return values | {name: _read(name, Path(values[f"{name}_file"]), values) for name in named}

    @field_validator("allowed_origins", mode="before")
    @classmethod
    def _origins(cls, origins: Any) -> Any:
        if not isinstance(origins, str):
            return origins
        return tuple(origin.strip().rstrip("/") for origin in origins.split(",") if origin.strip())

    @field_validator("push_allow", mode="before")
    @classmethod
    def _networks(cls, networks: Any) -> Any:
        return parse_allowed(networks) if isinstance(networks, str) else networks

    @field_validator("secret_keys_old", mode="before")
    @classmethod
    def _words(cls, keys: Any) -> Any:
        # Keys may contain commas.
        return tuple(keys.split()) if isinstance(keys, str) else keys

    @field_validator("root_key", "secret_key", mode="after")
    @classmethod
    def _visible(cls, key: SecretStr | None, info: Any) -> SecretStr | None:
        """Refuse a key that is too short or cannot be sent in a header."""
        _check_key(key, 20 if info.field_name == "root_key" else 32)
        return key

    @field_validator("secret_keys_old", mode="after")
    @classmethod
    def _all_visible(cls, keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        for key in keys:
            _check_key(key, 32)
        return keys


def _is_of_kubernetes(name: str, value: str) -> bool:
    """Return whether Kubernetes sets this variable for a service named `restante` or `restante-…`."""
    return "://" in value if name.endswith("_PORT") else _OF_KUBERNETES.search(name) is not None


def _read(name: str, path: Path, values: dict[str, Any]) -> str:
    variable = f"RESTANTE_{name.upper()}"
    if values.get(name) is not None:
        message = f"{variable} and {variable}_FILE are both set: unset one of them"
        raise ValueError(message)
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        message = f"{variable}_FILE: {path} cannot be read ({error})"
        raise ValueError(message) from error


def _check_key(key: SecretStr | None, shortest: int) -> None:
    text = "" if key is None else key.get_secret_value()
    if key is None or (shortest <= len(text) <= 200 and all("!" <= character <= "~" for character in text)):
        return
    message = f"must be {shortest} to 200 visible ASCII characters"
    raise ValueError(message)


@dataclass(frozen=True, slots=True)
class Deployment:
    """The settings, together with the database's URL and the keys that the first start creates."""

    settings: Settings
    database_url: str
    database_direct_url: str
    root_key: str
    # The first key signs and encrypts; data of the others can still be read.
    secret_keys: tuple[bytes, ...]
    # A shell expression for the root key, for output that must not contain the key itself.
    root_key_source: str = "$RESTANTE_ROOT_KEY"
    root_key_is_new: bool = False
