"""The command line: `restante`."""

import asyncio
import contextlib
import sys
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

import httpx
import typer
from pydantic import ValidationError

from service import __version__, doctor, embedded, main, server
from service.settings import Settings
from service.store.migrate import SchemaMismatch, head
from service.store.migrate import migrate as migrate_schema

app = typer.Typer(
    name="restante",
    help="An HTTP message queue on PostgreSQL. Settings are environment variables: see docs/reference/settings.md.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
key = typer.Typer(help="API keys of a running service.", no_args_is_help=True)
app.add_typer(key, name="key")

Url = Annotated[str, typer.Option(envvar="RESTANTE_URL", help="Where the service answers.")]
Project = Annotated[str | None, typer.Option(help="The project; default: `default`.")]
_HERE = "http://127.0.0.1:8080"


@app.command()
def serve() -> None:
    """Start the service, with its own PostgreSQL unless RESTANTE_DATABASE_URL names one."""
    with _told():
        raise typer.Exit(server.serve(_settings()))


@app.command()
def migrate() -> None:
    """Bring the database's schema up to date."""
    with _told():
        settings = _settings()
        running = settings.database_url is None and embedded.holder(settings.data_dir) is not None
        with contextlib.ExitStack() as stack:
            if running:
                url = embedded.url_of(settings.data_dir)
            elif settings.database_url is None:
                url = stack.enter_context(embedded.running(settings.data_dir))
            else:
                url = (settings.database_direct_url or settings.database_url).get_secret_value()
            asyncio.run(migrate_schema(url))
    typer.echo(f"The schema is at revision {head()}.")


@app.command("doctor")
def examine() -> None:
    """Look for what is wrong, and say what to do."""
    with _told():
        settings = _settings()
    failed = False
    for finding in doctor.collect(settings):
        typer.echo(f"{finding.state:<5} {finding.text}")
        failed = failed or finding.state == doctor.State.FAIL
    raise typer.Exit(1 if failed else 0)


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
        list[str] | None, typer.Option(help="A pattern such as 'orders-*'; may be repeated. Default: all.")
    ] = None,
    expires_at: Annotated[datetime | None, typer.Option(help="When it ends, in UTC.")] = None,
    project: Project = None,
    url: Url = _HERE,
) -> None:
    """Make a key and print its secret, which is shown this once."""
    wanted: dict[str, Any] = {"name": name, "scopes": scope, "queues": queue or ["*"]}
    if expires_at is not None:
        wanted["expires_at"] = f"{expires_at.isoformat()}Z"
    made = _ask("POST", url, "/v1/keys", project, json=wanted).json()
    typer.echo(f"{made['id']}  {made['secret']}")


@key.command("list")
def list_keys(project: Project = None, url: Url = _HERE) -> None:
    """List the keys, without their secrets."""
    cursor = None
    while True:
        page = _ask("GET", url, "/v1/keys", project, params={"cursor": cursor} if cursor else {}).json()
        for found in page["items"]:
            typer.echo(f"{found['id']}  {found['name']}  {','.join(found['scopes'])}  {','.join(found['queues'])}")
        cursor = page["next_cursor"]
        if cursor is None:
            return


@key.command("revoke")
def revoke_key(key_id: Annotated[str, typer.Argument(metavar="ID")], project: Project = None, url: Url = _HERE) -> None:
    """Revoke a key: within 5 seconds no process takes it any more."""
    _ask("DELETE", url, f"/v1/keys/{key_id}", project)
    typer.echo(f"{key_id} is revoked.")


def _ask(method: str, url: str, path: str, project: str | None, **content: Any) -> httpx.Response:
    """Send a request as the operator; end with a sentence if it is refused."""
    with _told():
        headers = {"Authorization": f"Bearer {server.known_root_key(_settings())}"}
        if project is not None:
            headers["Restante-Project"] = project
        # Proxies are for the way out; the key must not go through one by accident.
        with httpx.Client(base_url=url, headers=headers, timeout=30, trust_env=False) as client:
            answer = client.request(method, path, **content)
        if answer.is_error:
            typer.echo(answer.json().get("detail", answer.text), err=True)
            raise typer.Exit(1)
        return answer


def _settings() -> Settings:
    return Settings()


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Turn what an operator can do something about into a sentence and exit code 1."""
    try:
        yield
    except (server.CannotServe, embedded.CannotStart, SchemaMismatch) as error:
        reason = str(error)
    except ValidationError as error:
        reason = "\n".join(f"RESTANTE_{str(wrong['loc'][0]).upper()}: {wrong['msg']}." for wrong in error.errors())
    except httpx.HTTPError as error:
        reason = f"The service cannot be reached ({error}). Start it with `restante serve`, or set RESTANTE_URL."
    else:
        return
    typer.echo(reason, err=True)
    raise typer.Exit(1)
