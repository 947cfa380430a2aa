"""While the disk is full, what removes messages goes on, and what stores them is told why it cannot."""

import base64
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from service import embedded
from tests.serving import RESTANTE, environment, serving
from tests.test_embedded import becomes_true

MIB = 1024 * 1024


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a small file system of its own."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=360m", "none", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root can mount a file system")
    disk.chmod(0o755)
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def fill(disk: Path, left: int) -> Path:
    """Leave so many bytes on the disk."""
    filler = disk / "filler"
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, free - left)
    return filler


def send(client: httpx.Client, size: int = 10) -> httpx.Response:
    body = base64.b64encode(os.urandom(size)).decode()
    return client.post("/v1/queues/q/messages", json={"body": body})


def test_on_an_embedded_databases_full_disk_sends_are_refused_and_what_removes_goes_on(small_disk: Path) -> None:
    settings = {"disk_reserve_bytes": str(96 * MIB)}
    with serving(small_disk / "data", **settings) as service, service.client() as client:
        client.put("/v1/queues/q").raise_for_status()
        client.put("/v1/topics/t").raise_for_status()
        client.put("/v1/topics/t/subscriptions/s", json={"queue": "q"}).raise_for_status()
        for _ in range(3):
            send(client).raise_for_status()
        filler = fill(small_disk, 90 * MIB)
        assert becomes_true(lambda: send(client).status_code == 507)
        refused = {
            "/v1/queues/q/messages": {"body": 1},
            "/v1/queues/q/messages/batch": {"messages": [{"body": 1}]},
            "/v1/queues/q/raw": "x",
            "/v1/topics/t/messages": {"body": 1},
            "/v1/transactions": {"send": [{"queue": "q", "body": 1}]},
        }
        for path, body in refused.items():
            answer = client.post(path, json=body)
            assert (answer.status_code, answer.json()["code"]) == (507, "storage_full"), path
            assert "retry-after" in answer.headers
        assert "restante_storage_full 1.0" in client.get("/metrics").text
        doctor = subprocess.run(
            [RESTANTE, "doctor"],
            env=environment(small_disk / "data", **settings),
            capture_output=True,
            text=True,
            check=False,
        )
        assert "less than RESTANTE_DISK_RESERVE_BYTES" in doctor.stdout
        assert client.get("/readyz").status_code == 200
        [message] = client.post("/v1/queues/q/messages/receive").json()["messages"]
        assert client.delete(f"/v1/receipts/{message['receipt']}").status_code == 204
        assert client.post("/v1/queues/q/purge").is_success
        filler.unlink()
        assert becomes_true(lambda: send(client).status_code == 201)


def test_a_server_that_a_full_disk_keeps_from_starting_is_given_its_ballast(small_disk: Path) -> None:
    with embedded.running(small_disk / "data"):
        assert (small_disk / "data" / "ballast").stat().st_size == 64 * MIB
    fill(small_disk, 0)
    with embedded.running(small_disk / "data"):
        assert not (small_disk / "data" / "ballast").exists()


def test_a_full_disk_of_the_operators_database_is_told_by_answers_readiness_and_doctor(
    small_disk: Path, data_folder: Path
) -> None:
    with embedded.running(small_disk / "theirs", durable=False) as url:
        database = {"database_url": url, "secret_key": "s" * 32}
        with serving(data_folder, **database) as service, service.client() as client:
            client.put("/v1/queues/q").raise_for_status()
            fill(small_disk, MIB)
            refused = next(answer for answer in iter(lambda: send(client, 150_000), None) if answer.is_error)
            assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
            assert "disk is full" in refused.json()["detail"]
            assert "disk is full" in client.get("/readyz").json()["detail"]
            told = subprocess.run(
                [RESTANTE, "doctor"],
                env=environment(data_folder, **database),
                capture_output=True,
                text=True,
                check=False,
            )
            assert "disk is full (SQLSTATE 53100)" in told.stdout
