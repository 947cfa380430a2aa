"""The command line does what it says, and says what to do when it cannot."""

import json
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from service import __version__, embedded
from tests.conftest import in_postgres, named
from tests.serving import RESTANTE, Serving, environment, serving

_SECRET = "s" * 32


@pytest.fixture(scope="module")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cli") / "data"


@pytest.fixture(scope="module")
def service(data_folder: Path) -> Iterator[Serving]:
    with serving(data_folder) as service:
        yield service


def restante(*words: str, data_folder: Path, **settings: str) -> str:
    """Run a command that succeeds; return what it says."""
    return _run(words, 0, environment(data_folder, **settings)).stdout


def refused(*words: str, data_folder: Path, **settings: str) -> str:
    """Run a command that fails; return what it says."""
    return _run(words, 1, environment(data_folder, **settings)).stderr


def findings(data_folder: Path, **settings: str) -> str:
    """Run the doctor on something that is ill; return what it finds."""
    return _run(["doctor"], 1, environment(data_folder, **settings)).stdout


def _run(words: Sequence[str], code: int, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    told = subprocess.run([RESTANTE, *words], env=env, capture_output=True, text=True, timeout=60, check=False)
    assert told.returncode == code, told.stderr
    return told


def test_a_key_is_made_listed_and_revoked(service: Serving, data_folder: Path) -> None:
    words = ("key", "create", "workers", "--scope", "receive", "--scope", "send", "--queue", "orders-*")
    key_id, secret = restante(*words, data_folder=data_folder, url=service.url).split()
    whoami = httpx.get(f"{service.url}/v1/whoami", headers={"Authorization": f"Bearer {secret}"}, trust_env=False)
    assert whoami.json()["queues"] == ["orders-*"]
    listed = restante("key", "list", data_folder=data_folder, url=service.url)
    assert f"{key_id}  workers" in listed
    assert secret not in listed
    assert key_id in restante("key", "revoke", key_id, data_folder=data_folder, url=service.url)
    assert key_id not in restante("key", "list", data_folder=data_folder, url=service.url)


def test_what_the_service_refuses_is_told_in_its_words(service: Serving, data_folder: Path) -> None:
    assert "scope" in refused("key", "create", "x", "--scope", "all", data_folder=data_folder, url=service.url)
    assert "does not exist" in refused("key", "list", "--project", "nowhere", data_folder=data_folder, url=service.url)


@pytest.mark.usefixtures("service")
def test_a_service_that_is_not_there_is_told_with_what_to_do(data_folder: Path) -> None:
    said = refused("key", "list", data_folder=data_folder, url="http://127.0.0.1:9")
    assert "restante serve" in said
    assert "RESTANTE_URL" in said


def test_without_a_root_key_it_says_where_to_get_one(tmp_path: Path) -> None:
    assert "RESTANTE_ROOT_KEY" in refused("key", "list", data_folder=tmp_path)


def test_what_push_may_reach_is_shown_at_the_start_and_by_the_doctor(tmp_path: Path) -> None:
    opened = {"push_allow": "127.0.0.0/8,[fd00::/8]:8443", "push_http": "1"}
    with serving(tmp_path, **opened) as service:
        assert "Push may also reach 127.0.0.0/8, [fd00::/8]:8443, http to public addresses." in service.banner
        said = restante("doctor", data_folder=tmp_path, port=service.url.rsplit(":", 1)[1], **opened)
    assert "Push may also reach 127.0.0.0/8, [fd00::/8]:8443, http to public addresses" in said


def test_the_doctor_finds_a_running_service_healthy(service: Serving, data_folder: Path) -> None:
    said = restante("doctor", data_folder=data_folder, port=service.url.rsplit(":", 1)[1])
    assert "Restante answers" in said
    assert "PostgreSQL 18" in said
    assert "survive a power cut" in said
    assert "The clocks agree" in said
    assert "Schema at revision" in said
    assert {line.split()[0] for line in said.splitlines()} <= {"ok", "warn"}


def test_the_doctor_says_what_to_do_about_an_old_schema_and_an_unsafe_server(
    empty_database: str, tmp_path: Path
) -> None:
    said = findings(tmp_path, database_url=empty_database, secret_key=_SECRET)
    assert "run `restante migrate`" in said
    # The tests' own server, which may lose what a power cut takes.
    assert "fsync and full_page_writes off" in said


def test_the_doctor_tells_when_the_database_presets_another_isolation_or_takes_no_writes(
    database: str, tmp_path: Path
) -> None:
    name = urlsplit(database).path[1:]
    for preset in ("default_transaction_isolation = 'serializable'", "default_transaction_read_only = on"):
        in_postgres(database, f"alter database {name} set {preset}")
    said = findings(tmp_path, database_url=database, secret_key=_SECRET)
    assert "default_transaction_isolation is serializable" in said
    assert "The database accepts no writes" in said


def test_the_doctor_tells_when_notifications_pile_up(database: str, tmp_path: Path) -> None:
    name = urlsplit(database).path[1:]
    in_postgres(
        database,
        f"""
        create schema full_up;
        create function full_up.pg_notification_queue_usage() returns float8 language sql return 0.62;
        alter database {name} set search_path = full_up, pg_catalog, public
        """,
    )
    said = findings(tmp_path, database_url=database, secret_key=_SECRET)
    assert "queue of notifications is 62 % full" in said


def test_the_doctor_says_so_when_the_database_is_away(tmp_path: Path) -> None:
    away = "postgresql://nobody:secret-word@127.0.0.1:9/none"
    said = findings(tmp_path, database_url=away, secret_key=_SECRET)
    assert "cannot be reached" in said
    assert "secret-word" not in said


def test_the_doctor_of_a_fresh_folder_says_what_starts_it(tmp_path: Path) -> None:
    assert "`restante serve` starts it" in restante("doctor", data_folder=tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_migrate_brings_a_database_up_to_date(empty_database: str, tmp_path: Path) -> None:
    for _ in range(2):
        said = restante("migrate", data_folder=tmp_path, database_url=empty_database, secret_key=_SECRET)
        assert "at revision" in said
    in_postgres(empty_database, "select from message, queue, project")


@pytest.mark.usefixtures("service")
def test_migrate_works_beside_a_running_service_and_without_one(data_folder: Path, tmp_path: Path) -> None:
    assert "at revision" in restante("migrate", data_folder=data_folder)
    assert "at revision" in restante("migrate", data_folder=tmp_path / "fresh")
    assert embedded.holder(tmp_path / "fresh") is None


def test_migrate_goes_past_the_pooler(database: str, tmp_path: Path) -> None:
    pooler = named(database, "none")
    urls = {"database_url": pooler, "database_direct_url": database}
    assert "at revision" in restante("migrate", data_folder=tmp_path, secret_key=_SECRET, **urls)


def test_the_version_is_printed_as_a_command_and_as_an_option(tmp_path: Path) -> None:
    assert (
        restante("--version", data_folder=tmp_path) == restante("version", data_folder=tmp_path) == f"{__version__}\n"
    )


def test_the_doctor_tells_the_version_of_the_server_as_it_tells_it_itself(system_database: str, tmp_path: Path) -> None:
    version = findings(tmp_path, database_url=system_database, secret_key=_SECRET)
    packaged = subprocess.run(
        [embedded.system_binaries()[-1].folder / "postgres", "--version"], capture_output=True, text=True, check=True
    )
    assert f"PostgreSQL {packaged.stdout.split()[2]}\n" in version


def test_openapi_prints_the_document(tmp_path: Path) -> None:
    assert json.loads(restante("openapi", data_folder=tmp_path))["openapi"].startswith("3.")
