"""The operator's settings: environment variables that start with RESTANTE_. Described in docs/reference/settings.md."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from service.egress.addresses import Allowed, parse_allowed

MIB = 1024 * 1024


class Settings(BaseSettings):
    """Read once at the composition root and handed down; nothing else reads the environment."""

    model_config = SettingsConfigDict(env_prefix="RESTANTE_", env_ignore_empty=True, extra="ignore", frozen=True)

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8080, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    processes: int = Field(1, ge=1, le=64, description="Service processes that share the port.")
    data_dir: Path = Field(Path(".restante"), description="Folder of the embedded database, root key and secret key.")
    root_key: SecretStr | None = Field(
        None,
        description=(
            "The operator's key, 20 to 200 visible ASCII characters. Made on first start, kept in the data folder."
        ),
    )
    secret_key: SecretStr | None = Field(
        None,
        description=(
            "Signs receipts and cursors and encrypts secrets, 32 to 200 visible ASCII characters. Made on first start, "
            "kept in the data folder; required with RESTANTE_DATABASE_URL."
        ),
    )
    database_url: SecretStr | None = Field(
        None,
        description="A PostgreSQL (15 or newer) of your own: postgresql://user:password@host/name. Default: embedded.",
    )
    database_direct_url: SecretStr | None = Field(
        None,
        description="The database past a pooler such as PgBouncer, for held connections. Default: the URL above.",
    )
    auto_migrate: bool = Field(default=True, description="Bring the schema up to date at start.")
    express: bool = Field(
        default=True,
        description="Answer the hot operations ahead of FastAPI. Off: the same answers, several times slower.",
    )
    max_message_bytes: int = Field(
        MIB,
        ge=1024,
        le=7 * MIB,
        description="Largest max_message_bytes that a queue may set, body and headers together.",
    )
    max_parked_receives: int = Field(
        20_000,
        ge=1,
        description="Waiting receives that one process parks; one more is answered at once with what is there.",
    )
    push_allow: Annotated[tuple[Allowed, ...], NoDecode] = Field(
        (),
        description=(
            "Networks that are not public and that push may reach nonetheless, with http too: `10.0.0.0/8`, "
            "`fd00::/8`, at one port `10.0.0.0/8:8443`, `[fd00::/8]:8443`."
        ),
    )
    push_http: bool = Field(default=False, description="Let push send by http, unencrypted, to public addresses.")
    allowed_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description=("Origins of web pages beside the service's own that may open streams: `https://app.example.com`."),
    )
    log_level: str = Field("info", pattern="^(debug|info|warning|error)$", description="debug, info, warning or error.")
    log_format: str = Field(
        "auto", description="json, text, or auto: text on a terminal.", pattern="^(json|text|auto)$"
    )

    @property
    def push_opened(self) -> str:
        """Return, for those who run the service, what push may reach beside public addresses by https."""
        opened = [str(network) for network in self.push_allow] + ["http to public addresses"] * self.push_http
        return ", ".join(opened)

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

    @field_validator("root_key", "secret_key", mode="after")
    @classmethod
    def _visible(cls, key: SecretStr | None, info: Any) -> SecretStr | None:
        """Refuse a key that could not be sent in a header or could be guessed."""
        if key is None:
            return None
        shortest = 20 if info.field_name == "root_key" else 32
        text = key.get_secret_value()
        if not shortest <= len(text) <= 200 or not all("!" <= character <= "~" for character in text):
            message = f"must be {shortest} to 200 visible ASCII characters"
            raise ValueError(message)
        return key


@dataclass(frozen=True, slots=True)
class Deployment:
    """The settings with everything resolved that a first start makes: what one service process is built from."""

    settings: Settings
    database_url: str
    database_direct_url: str
    root_key: str
    secret_key: bytes
