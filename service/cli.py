"""The command line: `restante`. A command imports what it alone needs, so that the others start sooner."""

import asyncio
import contextlib
import os
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from service import __version__, embedded, main, server, tracing
from service.settings import Settings
from service.store.database.schema import SchemaMismatch, head
from service.store.database.secret_keys import WrongSecretKey, adopt

if TYPE_CHECKING:
    import httpx

app = typer.Typer(
    name="restante",
    help="An HTTP message queue on PostgreSQL. Settings are environment variables: see docs/reference/settings.md.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
key = typer.Typer(help="API keys of a running service.", no_args_is_help=True)
app.add_typer(key, name="key")

UrlOption = Annotated[str, typer.Option(envvar="RESTANTE_URL", help="The URL of the service.")]
ProjectOption = Annotated[str | None, typer.Option(help="The project; default: `default`.")]
_HERE = "http://127.0.0.1:8080"


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - typer requires it
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def restante(
    *,
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Handle the options before a command."""


@app.command()
def serve() -> None:
    """Start the service, with an embedded PostgreSQL unless RESTANTE_DATABASE_URL is set."""
    with _exit_on_known_errors():
        raise typer.Exit(server.serve(_settings()))


@app.command()
def migrate() -> None:
    """Upgrade the database schema to this version."""
    from service.store.database import migrate as migrations

    with _exit_on_known_errors(), _database(_settings()) as url:
        asyncio.run(migrations.migrate(url))
    typer.echo(f"The schema is at revision {head()}.")


@app.command()
def adopt_key() -> None:
    """Use the current secret key for a database whose former secret key is lost.

    Receipts and cursors signed with the former key become invalid. Webhooks encrypted with it are disabled and must be
    created again.
    """
    with _exit_on_known_errors():
        settings = _settings()
        with _database(settings) as url:
            lost = asyncio.run(adopt(url, server.secret_keys(settings)))
    typer.echo(
        f"The database now uses this secret key. Webhooks that could not be decrypted and were disabled: {lost}."
    )


@app.command("doctor")
def examine() -> None:
    """Check the installation, and say how to fix problems."""
    from service import doctor

    with _exit_on_known_errors():
        settings = _settings()
    failed = False
    for finding in doctor.collect(settings):
        typer.echo(f"{finding.state:<5} {finding.text}")
        failed = failed or finding.state == doctor.State.FAIL
    raise typer.Exit(1 if failed else 0)


@app.command()
def backup(file: Annotated[Path, typer.Argument(help="The file to create.")]) -> None:
    """Back up the embedded database and its keys to one file. The service may be running or stopped."""
    with _exit_on_known_errors():
        settings = _embedded()
        if not embedded.is_made(settings.data_dir):
            message = f"The data folder {settings.data_dir} has no database. Set RESTANTE_DATA_DIR to another one."
            raise embedded.CannotStart(message)
        with _database(settings):
            embedded.back_up(settings.data_dir, file)
    typer.echo(f"{file} contains the database and the keys ({file.stat().st_size} bytes). Keep it like a password.")


@app.command()
def restore(file: Annotated[Path, typer.Argument(help="A file written by `restante backup`.")]) -> None:
    """Create a data folder from a backup."""
    with _exit_on_known_errors():
        settings = _embedded()
        embedded.restore(settings.data_dir, file)
    typer.echo(f"The backup is restored to {settings.data_dir}. Start the service with `restante serve`.")


@app.command()
def openapi() -> None:
    """Print the OpenAPI document."""
    sys.stdout.buffer.write(main.openapi_document())


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


@key.command("create")
def create_key(
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    scope: Annotated[list[str], typer.Option(help="send, receive, browse, manage or admin; may be repeated.")],
    queue: Annotated[
        list[str] | None,
        typer.Option(help="A queue name or a pattern such as 'orders-*'; may be repeated. Default: all queues."),
    ] = None,
    expires_at: Annotated[datetime | None, typer.Option(help="When the key expires, in UTC.")] = None,
    project: ProjectOption = None,
    url: UrlOption = _HERE,
) -> None:
    """Create a key and print its secret, which is shown only once."""
    wanted: dict[str, Any] = {"name": name, "scopes": scope, "queues": queue or ["*"]}
    if expires_at is not None:
        wanted["expires_at"] = f"{expires_at.isoformat()}Z"
    made = _request_as_operator("POST", url, "/v1/keys", project, json=wanted).json()
    typer.echo(f"{made['id']}  {made['secret']}")


@key.command("list")
def list_keys(project: ProjectOption = None, url: UrlOption = _HERE) -> None:
    """List the project's keys, without their secrets."""
    cursor = None
    while True:
        page = _request_as_operator("GET", url, "/v1/keys", project, params={"cursor": cursor} if cursor else {}).json()
        for found in page["items"]:
            typer.echo(f"{found['id']}  {found['name']}  {','.join(found['scopes'])}  {','.join(found['queues'])}")
        cursor = page["next_cursor"]
        if cursor is None:
            return


@key.command("revoke")
def revoke_key(
    key_id: Annotated[str, typer.Argument(metavar="ID")], project: ProjectOption = None, url: UrlOption = _HERE
) -> None:
    """Revoke a key. All processes refuse it within 5 seconds."""
    _request_as_operator("DELETE", url, f"/v1/keys/{key_id}", project)
    typer.echo(f"{key_id} is revoked.")


def _setting_error(wrong: ErrorDetails) -> str:
    """Return the sentence for an invalid setting, or for two settings that contradict each other."""
    names = [f"RESTANTE_{str(name).upper()}: " for name in wrong["loc"][:1]]
    return f"{''.join(names)}{wrong['msg'].removeprefix('Value error, ')}."


def _request_as_operator(method: str, url: str, path: str, project: str | None, **content: Any) -> "httpx.Response":
    """Send a request with the root key. If it fails, print the reason and exit."""
    import httpx

    with _exit_on_known_errors():
        headers = {"Authorization": f"Bearer {server.known_root_key(_settings())}"}
        if project is not None:
            headers["Restante-Project"] = project
        # Ignore proxy settings, so that the root key is never sent to a proxy by accident.
        with httpx.Client(base_url=url, headers=headers, timeout=30, trust_env=False) as client:
            try:
                answer = client.request(method, path, **content)
            except httpx.HTTPError as error:
                reason = (
                    f"The service cannot be reached ({error}). Start it with `restante serve`, or set RESTANTE_URL."
                )
                typer.echo(reason, err=True)
                raise typer.Exit(1) from error
        if answer.is_error:
            typer.echo(answer.json().get("detail", answer.text), err=True)
            raise typer.Exit(1)
        return answer


def _settings() -> Settings:
    """Read the settings. Raises CannotServe for unknown RESTANTE_ variables, which are probably misspelled."""
    unknown = Settings.unknown(os.environ)
    if unknown:
        told = (
            f"{name} is not a setting{f'; did you mean {near}?' if near else '.'}" for name, near in unknown.items()
        )
        raise server.CannotServe(
            "\n".join([*told, "Correct or unset it; docs/reference/settings.md lists all settings."])
        )
    return Settings()


def _embedded() -> Settings:
    """Return the settings if they use the embedded database. Raises CannotServe."""
    settings = _settings()
    if settings.database_url is not None:
        message = (
            "RESTANTE_DATABASE_URL is set, so the database is not embedded: back it up with pg_dump, and keep "
            "RESTANTE_SECRET_KEY with the backup."
        )
        raise server.CannotServe(message)
    return settings


@contextlib.contextmanager
def _database(settings: Settings) -> Iterator[str]:
    """Yield the URL of the database, bypassing a pooler. The embedded database is started if it is not running."""
    if settings.database_url is not None:
        yield (settings.database_direct_url or settings.database_url).get_secret_value()
    elif embedded.holder(settings.data_dir) is not None:
        yield embedded.url_of(settings.data_dir)
    else:
        with embedded.running(settings.data_dir) as url:
            yield url


@contextlib.contextmanager
def _exit_on_known_errors() -> Iterator[None]:
    """Print errors that the operator can fix, and exit with code 1."""
    try:
        yield
    except (server.CannotServe, embedded.CannotStart, SchemaMismatch, WrongSecretKey, tracing.CannotTrace) as error:
        reason = str(error)
    except ValidationError as error:
        reason = "\n".join(map(_setting_error, error.errors()))
    else:
        return
    typer.echo(reason, err=True)
    raise typer.Exit(1)
