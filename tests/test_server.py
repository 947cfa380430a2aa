"""`restante serve`: one command, one port, any number of processes, and a clean end."""

import asyncio
import contextlib
import json
import os
import resource
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import httpx
import psutil
import pytest

from service import embedded, server
from service.embedded.leftovers import servers_in
from service.starting import Waiting
from tests.conftest import in_postgres
from tests.in_process import deployment
from tests.serving import RESTANTE, Serving, environment, refused, serving
from tests.test_embedded import becomes_true, on_linux

_SECRET = "s" * 32


@pytest.fixture
def service(data_folder: Path) -> Iterator[Serving]:
    with serving(data_folder) as service:
        yield service


@contextlib.contextmanager
def starting(log: Path, data_folder: Path, **settings: str) -> Iterator[tuple[subprocess.Popen[str], httpx.Client]]:
    """Start a service that does not serve yet, and give a client of its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    chosen = environment(data_folder, log_format="json", port=str(port), **settings)
    with (
        log.open("w") as stderr,
        subprocess.Popen([RESTANTE, "serve"], env=chosen, stdout=subprocess.PIPE, stderr=stderr, text=True) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=10) as client,
    ):
        try:
            yield process, client
        finally:
            process.kill()


def send(client: httpx.Client, body: object, queue: str = "q") -> None:
    client.put(f"/v1/queues/{queue}").raise_for_status()
    client.post(f"/v1/queues/{queue}/messages", json={"body": body}).raise_for_status()


def received(client: httpx.Client, queue: str = "q", wait: float = 0) -> list[object]:
    answer = client.post(f"/v1/queues/{queue}/messages/receive", json={"max_messages": 100, "wait": wait})
    return [message["body"] for message in answer.raise_for_status().json()["messages"]]


def test_the_four_lines_work_when_pasted(service: Serving) -> None:
    lines = [line for line in service.banner.splitlines() if line.startswith(("curl", "ANSWER="))]
    assert len(lines) == 4
    pasted = subprocess.run(["bash"], input="\n".join(lines), capture_output=True, text=True, timeout=30, check=True)
    assert '"body":"Hello"' in pasted.stdout
    assert "HTTP/1.1 204" in pasted.stdout
    assert f"{service.url}/dashboard" in service.banner


def test_the_keys_are_for_their_owner_alone_and_stay(data_folder: Path) -> None:
    with serving(data_folder) as service:
        first = service.key
        for name in ("root.key", "secret.key", "database.password"):
            assert (data_folder / name).stat().st_mode & 0o777 == 0o600
        service.stop()
    with serving(data_folder) as service:
        assert service.key == first


def test_a_root_key_is_shown_when_it_is_made_and_not_again(data_folder: Path) -> None:
    with serving(data_folder) as service:
        assert service.banner.count(service.key) == 5
    with serving(data_folder) as again:
        assert again.key == service.key
        assert again.key not in again.banner
        lines = [line for line in again.banner.splitlines() if line.startswith("curl -X PUT")]
        pasted = subprocess.run(["bash", "-c", *lines], capture_output=True, text=True, timeout=30, check=True)
        assert '"name":"hello"' in pasted.stdout


def test_a_root_key_is_never_among_the_lines_of_a_log_and_where_it_is_stands_there(
    data_folder: Path, tmp_path: Path
) -> None:
    with starting(tmp_path / "log", data_folder) as (process, client):
        assert becomes_true(lambda: '"event": "serving"' in (tmp_path / "log").read_text())
        assert client.get("/readyz").status_code == 200
        process.terminate()
        assert process.wait(30) == 0
        assert process.stdout is not None
        assert process.stdout.read() == ""
    told = (tmp_path / "log").read_text()
    assert (data_folder / "root.key").read_text().strip() not in told
    events = [json.loads(line) for line in told.splitlines()]
    assert f"{data_folder}/root.key" in next(event for event in events if event["event"] == "serving")["root_key"]


def test_a_key_of_the_operators_is_used_and_not_shown(data_folder: Path) -> None:
    key = "!visible-$'ASCII\"#~" * 2
    with serving(data_folder, root_key=key) as service, service.client() as client:
        assert key not in service.banner
        assert "$RESTANTE_ROOT_KEY" in service.banner
        assert client.get("/v1/queues").status_code == 200
        assert not (data_folder / "root.key").exists()


def test_a_second_start_says_that_one_runs(service: Serving, data_folder: Path) -> None:
    assert f"already running on {data_folder} (pid {service.process.pid})" in refused(data_folder, port="8080")


def test_a_taken_port_is_told_with_what_to_do(data_folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refused(data_folder, port=str(port))
    assert said.startswith(f"Port {port} on 127.0.0.1 is in use. Stop the other program, or set RESTANTE_PORT")


def test_a_setting_out_of_range_is_told_by_its_name(data_folder: Path) -> None:
    assert "RESTANTE_PORT" in refused(data_folder, port="eighty")
    assert "RESTANTE_ROOT_KEY" in refused(data_folder, root_key="short")
    assert "RESTANTE_SECRET_KEY" in refused(data_folder, secret_key="with a blank and long enough to be")
    assert "RESTANTE_SECRET_KEYS_OLD" in refused(data_folder, secret_keys_old=f"{_SECRET} short")


def test_a_variable_that_is_no_setting_is_refused_with_the_nearest_one(data_folder: Path) -> None:
    said = refused(data_folder, proceses="2", anything_else="1", db_service_host="10.0.0.1", db_port="tcp://10.0.0.1:1")
    assert "RESTANTE_PROCESES is not a setting; did you mean RESTANTE_PROCESSES?" in said
    assert "RESTANTE_ANYTHING_ELSE is not a setting." in said
    assert "RESTANTE_DB" not in said


@on_linux
def test_each_process_may_have_as_many_connections_as_the_administrator_allows(data_folder: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    hard = before[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
    try:
        with serving(data_folder, processes="2") as service:
            limits = {worker.rlimit(psutil.RLIMIT_NOFILE) for worker in service.workers()}
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert limits == {(65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536), hard)}


@pytest.mark.alone
def test_a_signal_ends_it_soon_and_the_database_with_it(service: Serving, data_folder: Path) -> None:
    with service.client() as client:
        send(client, 1)
    began = time.monotonic()
    assert service.stop() == 0
    assert time.monotonic() - began < 5
    assert not servers_in(data_folder / "postgres")
    assert "database system is shut down" in (data_folder / "postgres.log").read_text()


@pytest.mark.alone
def test_parked_receives_are_answered_at_the_signal(service: Serving) -> None:
    with service.client() as client:
        client.put("/v1/queues/q").raise_for_status()
        host, port = service.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as parked:
            body = b'{"wait":60}'
            head = f"POST /v1/queues/q/messages/receive HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {service.key}\r\n"
            parked.sendall(head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            # Asked after it and answered: so the parked one has been read and has looked in vain.
            assert [received(client) for _ in range(3)] == [[], [], []]
            began = time.monotonic()
            service.process.send_signal(signal.SIGTERM)
            assert parked.recv(65536).startswith(b"HTTP/1.1 200")
            assert time.monotonic() - began < 1
    assert service.process.wait(5) == 0


def test_what_was_answered_survives_kill_9_of_everything(data_folder: Path) -> None:
    with serving(data_folder) as service:
        with service.client() as client:
            send(client, "kept")
        for pid in [service.process.pid, *servers_in(data_folder / "postgres")]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        service.process.wait()
    with serving(data_folder) as service, service.client() as client:
        assert received(client, wait=5) == ["kept"]


@pytest.mark.alone
@on_linux
def test_a_dead_worker_is_replaced_within_a_second_and_the_rest_goes_on(data_folder: Path) -> None:
    with serving(data_folder, processes="2") as service, service.client() as client:
        send(client, "kept")
        assert becomes_true(lambda: len(service.workers()) == 2)
        victim = service.workers()[0]
        database = servers_in(data_folder / "postgres")[0]
        victim.kill()
        # Within a second on an idle machine; the new one has to be started, and to be seen by this test.
        assert becomes_true(lambda: len(service.workers()) == 2 and victim not in service.workers(), seconds=5)
        with service.client() as another:
            assert received(another, wait=5) == ["kept"]
        assert servers_in(data_folder / "postgres")[0] == database
        assert service.stop() == 0
    assert not servers_in(data_folder / "postgres")


@on_linux
def test_nothing_outlives_a_killed_supervisor(data_folder: Path) -> None:
    with serving(data_folder, processes="2") as service:
        assert becomes_true(lambda: len(service.workers()) == 2)
        workers = service.workers()
        service.process.kill()
        service.process.wait()
        assert not psutil.wait_procs(workers, timeout=20)[1]
        assert becomes_true(lambda: not servers_in(data_folder / "postgres"))


def test_metrics_are_the_sum_of_the_processes(data_folder: Path) -> None:
    with serving(data_folder, processes="2") as service:
        assert becomes_true(lambda: len(service.workers()) == 2)
        for number in range(12):
            with service.client() as client:
                send(client, number)
        with service.client() as client:
            assert "restante_messages_sent_total 12.0" in client.get("/metrics").text


def test_a_database_of_the_operators_serves_and_needs_the_secret_key(database: str, data_folder: Path) -> None:
    assert "RESTANTE_SECRET_KEY is required" in refused(data_folder, database_url=database)
    with serving(data_folder, database_url=database, secret_key=_SECRET) as service, service.client() as client:
        send(client, 1)
        assert received(client) == [1]
        assert not (data_folder / "postgres").exists()


def test_another_secret_key_ends_the_start_with_what_to_do_and_can_be_adopted(database: str, data_folder: Path) -> None:
    with serving(data_folder, database_url=database, secret_key=_SECRET):
        pass
    other = "o" * 32
    said = refused(data_folder, database_url=database, secret_key=other, processes="2")
    assert "RESTANTE_SECRET_KEYS_OLD" in said
    assert "Traceback" not in said
    settings = environment(data_folder, database_url=database, secret_key=other)
    doctor = subprocess.run([RESTANTE, "doctor"], env=settings, capture_output=True, text=True, check=False)
    assert "not the key that this database was used with" in doctor.stdout
    subprocess.run([RESTANTE, "adopt-key"], env=settings, check=True)
    with serving(data_folder, database_url=database, secret_key=other) as service, service.client() as client:
        assert client.get("/readyz").status_code == 200


def test_of_two_starts_at_once_one_runs(data_folder: Path) -> None:
    with serving(data_folder) as service:
        service.stop()
    told = []
    with ThreadPoolExecutor() as threads:
        stop = threading.Event()

        def start() -> None:
            try:
                with serving(data_folder) as service:
                    told.append(service.url)
                    stop.wait(20)
            except AssertionError as error:
                told.append(str(error))
                stop.set()

        for _ in range(2):
            threads.submit(start)
    assert sorted(text[:4] for text in told) == ["http", "the "]


def test_the_oldest_postgresql_that_is_supported_serves(system_database: str, data_folder: Path) -> None:
    with serving(data_folder, database_url=system_database, secret_key=_SECRET) as service, service.client() as client:
        send(client, {"n": 1})
        assert received(client) == [{"n": 1}]


def test_an_old_schema_is_refused_when_it_may_not_be_migrated(empty_database: str, data_folder: Path) -> None:
    said = refused(data_folder, database_url=empty_database, secret_key=_SECRET, auto_migrate="0")
    assert "run `restante migrate`" in said


def test_a_newer_schema_is_refused(database: str, data_folder: Path) -> None:
    in_postgres(database, "update alembic_version set version_num = '9999'")
    assert "a newer one has migrated it" in refused(data_folder, database_url=database, secret_key=_SECRET)


def test_a_database_that_lets_nobody_in_is_told(database: str, data_folder: Path) -> None:
    wrong = database.replace("@", "x@")
    said = refused(data_folder, database_url=wrong, secret_key=_SECRET)
    assert "refuses the login" in said
    assert wrong not in said


def test_a_start_waits_for_a_database_that_comes_up_later_and_says_so(data_folder: Path, tmp_path: Path) -> None:
    with embedded.running(tmp_path / "theirs", durable=False) as url:
        pass
    with starting(tmp_path / "log", data_folder, database_url=url, secret_key=_SECRET) as (process, client):
        assert becomes_true(lambda: "database_awaited" in (tmp_path / "log").read_text())
        alive = client.get("/healthz")
        assert (alive.json(), alive.headers["connection"]) == ({"status": "ok"}, "close")
        for path in ("/readyz", "/v1/queues"):
            answer = client.get(path)
            assert answer.headers["connection"] == "close"
            assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (
                503,
                "unavailable",
                "1",
            )
            assert "The database cannot be reached" in answer.json()["detail"]
        assert process.poll() is None
        with embedded.running(tmp_path / "theirs", durable=False):
            assert becomes_true(lambda: client.get("/readyz").status_code == 200)
            assert client.get("/readyz").status_code == 200
            process.terminate()
            assert process.wait(30) == 0


def test_a_start_that_waits_for_its_database_logs_less_and_less_and_ends_at_a_signal(
    data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_RETRY_SECONDS", 0)
    waited = Waiting()
    told: list[str] = []
    monkeypatch.setattr(server, "_log", SimpleNamespace(warning=lambda event, **_more: told.append(event)))
    tries = iter(range(300))

    async def away(_url: str) -> None:
        if next(tries, None) is not None:
            raise ConnectionRefusedError

    monkeypatch.setattr(server, "_migrate", away)
    monkeypatch.setattr(server, "claim", lambda *_: asyncio.sleep(0))
    asyncio.run(server.prepare(deployment("postgresql://nowhere/none"), waited))
    assert told == ["database_awaited"] * 9
    nowhere = "postgresql://restante:secret-word@127.0.0.1:9/none"
    with starting(tmp_path / "log", data_folder, database_url=nowhere, secret_key=_SECRET) as (process, client):
        assert becomes_true(lambda: "database_awaited" in (tmp_path / "log").read_text())
        detail = client.get("/readyz").json()["detail"]
        assert "secret-word" not in detail
        assert "127.0.0.1" not in detail
        process.terminate()
        assert process.wait(10) == 0


def test_it_listens_on_ipv6_as_well(data_folder: Path) -> None:
    with serving(data_folder, host="::1") as service, service.client() as client:
        assert service.url.startswith("http://[::1]:")
        assert client.get("/healthz").status_code == 200


def test_nothing_of_the_operators_pg_environment_is_heard(data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGTARGETSESSIONATTRS", "standby")
    with serving(data_folder) as service, service.client() as client:
        assert client.get("/readyz").status_code == 200
