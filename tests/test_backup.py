"""A backup is made while the service runs, and what was answered before it is in it."""

import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.serving import Serving, serving
from tests.test_cli import refused, restante

_ANSWERED = 200


@pytest.fixture(scope="module")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("backup") / "data"


@pytest.fixture(scope="module")
def service(data_folder: Path) -> Iterator[Serving]:
    with serving(data_folder) as service:
        yield service


@pytest.fixture(scope="module")
def backup(service: Serving, data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a backup of a service that goes on answering sends."""
    file = tmp_path_factory.mktemp("kept") / "backup"
    ended = threading.Event()

    def send(client: httpx.Client) -> None:
        while not ended.is_set():
            assert client.post("/v1/queues/q/messages", json={"body": "later"}).status_code == 201

    with service.client() as client:
        client.put("/v1/queues/q", json={"type": "fifo"})
        for number in range(_ANSWERED):
            client.post("/v1/queues/q/messages", json={"body": number})
        sender = threading.Thread(target=send, args=(client,))
        sender.start()
        said = restante("backup", str(file), data_folder=data_folder)
        ended.set()
        sender.join()
    assert "Keep it like a password" in said
    return file


def test_a_restored_service_has_every_message_that_was_answered_in_order_and_its_keys(
    service: Serving, backup: Path, tmp_path: Path
) -> None:
    restante("restore", str(backup), data_folder=tmp_path / "new")
    with serving(tmp_path / "new") as restored, restored.client() as client:
        assert restored.key == service.key
        bodies: list[object] = []
        while got := client.post("/v1/queues/q/messages/receive", json={"max_messages": 100}).json()["messages"]:
            bodies += [message["body"] for message in got]
            items = [{"receipt": message["receipt"], "action": "delete"} for message in got]
            client.post("/v1/receipts/batch", json={"items": items})
        assert bodies[:_ANSWERED] == list(range(_ANSWERED))
        assert set(bodies[_ANSWERED:]) <= {"later"}
        assert client.post("/v1/queues/q/messages", json={"body": 1}).status_code == 201


def test_a_receipt_of_before_the_backup_is_good_at_the_restored_service(
    service: Serving, data_folder: Path, tmp_path: Path
) -> None:
    with service.client() as client:
        client.put("/v1/queues/held")
        client.post("/v1/queues/held/messages", json={"body": 1})
        got = client.post("/v1/queues/held/messages/receive", json={"visibility_timeout": 3600}).json()["messages"]
    restante("backup", str(tmp_path / "backup"), data_folder=data_folder)
    restante("restore", str(tmp_path / "backup"), data_folder=tmp_path / "new")
    with serving(tmp_path / "new") as restored, restored.client() as client:
        assert client.delete(f"/v1/receipts/{got[0]['receipt']}").status_code == 204
        assert client.get("/v1/queues/held").json()["stats"]["total"] == 0


def test_a_backup_is_readable_by_its_owner_alone_and_never_overwritten(backup: Path, data_folder: Path) -> None:
    assert backup.stat().st_mode & 0o077 == 0
    before = backup.read_bytes()
    assert "exists" in refused("backup", str(backup), data_folder=data_folder)
    assert backup.read_bytes() == before
    assert "cannot be written" in refused("backup", str(backup / "below"), data_folder=data_folder)


def test_a_folder_that_has_a_database_is_not_overwritten(backup: Path, data_folder: Path, service: Serving) -> None:
    assert "already running" in refused("restore", str(backup), data_folder=data_folder)
    assert service.process.poll() is None


def test_what_is_no_whole_backup_is_refused_and_leaves_no_database(backup: Path, tmp_path: Path) -> None:
    half, other = tmp_path / "half", tmp_path / "other"
    half.write_bytes(backup.read_bytes()[:-2000])
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("database.dump", b"PGDMP is how one begins")
    for file in (half, other, tmp_path / "none", tmp_path):
        said = refused("restore", str(file), data_folder=tmp_path / "new")
        assert str(file) in said or "pg_restore" in said
        assert not (tmp_path / "new" / "postgres").exists()
        assert not (tmp_path / "new" / "secret.key").exists()


def test_a_backup_of_nothing_or_of_another_database_is_refused_with_what_to_do(tmp_path: Path) -> None:
    file = str(tmp_path / "backup")
    assert "RESTANTE_DATA_DIR" in refused("backup", file, data_folder=tmp_path / "none")
    own = {"database_url": "postgresql://127.0.0.1:9/none", "secret_key": "s" * 32}
    assert "pg_dump" in refused("backup", file, data_folder=tmp_path, **own)
