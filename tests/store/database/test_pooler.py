"""With PgBouncer as the only way to the database the service works in session mode, or says what to set."""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from service import embedded
from tests.serving import refused, serving
from tests.test_embedded import becomes_true

_PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
pytestmark = pytest.mark.skipif(_PGBOUNCER is None, reason="there is no PgBouncer")
_SECRET = "s" * 32


@pytest.fixture(scope="module")
def theirs() -> Iterator[str]:
    """Start a database where PgBouncer, which does not run as root either, reaches its socket."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        with embedded.running(Path(folder), durable=False) as url:
            yield url


@contextlib.contextmanager
def pgbouncer(url: str, folder: Path, *settings: str) -> Iterator[str]:
    """Run PgBouncer, with its defaults but for these settings, before a database: the URL through it."""
    parts = urlsplit(url)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = Path(tempfile.mkdtemp(dir="/tmp")) / "pgbouncer.ini"
    config.parent.chmod(0o755)
    server = f"host={parse_qs(parts.query)['host'][0]} user={parts.username} password={parts.password} dbname=postgres"
    lines = ["[databases]", f"postgres = {server}", "[pgbouncer]", "auth_type = any", "unix_socket_dir ="]
    lines += ["listen_addr = 127.0.0.1", f"listen_port = {port}", *settings]
    config.write_text("\n".join(lines))
    account = ["-u", "postgres"] if os.geteuid() == 0 else []
    assert _PGBOUNCER is not None
    with (
        (folder / "pgbouncer.log").open("w") as log,
        subprocess.Popen([_PGBOUNCER, *account, str(config)], stdout=log, stderr=log) as process,
    ):
        try:
            assert becomes_true(lambda: _answers(port)), (folder / "pgbouncer.log").read_text()
            yield f"postgresql://restante:any@127.0.0.1:{port}/postgres"
        finally:
            process.kill()
            shutil.rmtree(config.parent)


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


def test_in_session_mode_with_sessions_enough_it_serves(theirs: str, tmp_path: Path, data_folder: Path) -> None:
    with (
        pgbouncer(theirs, tmp_path, "default_pool_size = 40") as url,
        serving(data_folder, database_url=url, secret_key=_SECRET) as service,
        service.client() as client,
    ):
        client.put("/v1/queues/q", json={"type": "fifo"}).raise_for_status()
        client.post("/v1/queues/q/messages", json={"body": 1, "group": "g"}).raise_for_status()
        [message] = client.post("/v1/queues/q/messages/receive", json={"wait": 5}).json()["messages"]
        assert client.delete(f"/v1/receipts/{message['receipt']}").status_code == 204
        assert client.get("/readyz").status_code == 200


def test_with_too_few_sessions_the_start_ends_with_the_setting_to_raise(
    theirs: str, tmp_path: Path, data_folder: Path
) -> None:
    with pgbouncer(theirs, tmp_path) as url:
        said = refused(data_folder, database_url=url, secret_key=_SECRET)
    assert "default_pool_size" in said
    assert "RESTANTE_DATABASE_DIRECT_URL" in said


@pytest.mark.parametrize("mode", ["transaction", "statement"])
def test_in_other_modes_the_start_ends_with_the_setting_that_is_missing(
    theirs: str, tmp_path: Path, data_folder: Path, mode: str
) -> None:
    passed_over = "ignore_startup_parameters = statement_timeout,lock_timeout,idle_session_timeout"
    with pgbouncer(theirs, tmp_path, f"pool_mode = {mode}", passed_over) as url:
        said = refused(data_folder, database_url=url, secret_key=_SECRET)
        assert "RESTANTE_DATABASE_DIRECT_URL" in said
        assert "pool_mode" in said
        both = {"database_url": url, "database_direct_url": theirs}
        if mode == "transaction":
            with serving(data_folder, secret_key=_SECRET, **both) as service, service.client() as client:
                assert client.put("/v1/queues/q2").status_code == 201
                assert client.get("/v1/queues/q2").status_code == 200
