"""The consumer that the documents show does what they say of it."""

import re
import subprocess
import sys
import time
from pathlib import Path

import httpx

from tests.docs.bad_road import bad_road
from tests.serving import Serving

_PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "write-a-consumer.md").read_text("utf-8")
# Works longer than its lease lasts on the slow one, and fails at the first try of the bad one.
_DRIVER = """
import time
import consumer

def work(message, lost):
    print(message["body"], message["receive_count"], message.get("last_error"), flush=True)
    if message["body"] == "slow":
        time.sleep(2)
    assert not lost.is_set()
    if message["body"] == "bad" and message["receive_count"] == 1:
        raise ValueError("no such order")

consumer.work = work
consumer.main()
"""
# Tells its pauses instead of taking them, works until its lease was extended, and fails at the bad one.
_PATIENT_DRIVER = """
import threading
import consumer

ask, extended = consumer.ask, threading.Event()

def told(client, method, path, content=None):
    answer = ask(client, method, path, content)
    if method == "PATCH":
        extended.set()
    elif "/receipts/" in path:
        print(method, answer.status_code, flush=True)
    return answer

def work(message, lost):
    assert extended.wait(10)
    if message["body"] == "bad":
        raise ValueError("no such order")

consumer.ask, consumer.work = told, work
consumer.random.uniform = lambda low, high: low
consumer.time.sleep = lambda seconds: print("pause", seconds, flush=True)
consumer.main()
"""


def _block(kind: str) -> str:
    [block] = re.findall(rf"^```{kind}\n(.*?)^```$", _PAGE, re.MULTILINE | re.DOTALL)
    return str(block)


def _waits_with_nothing_left(client: httpx.Client) -> bool:
    left = client.get("/v1/queues/orders").json()["stats"]["total"]
    return left == 0 and "restante_parked_receives 1.0" in client.get("/metrics").text


def test_the_python_consumer_keeps_its_leases_gives_back_what_fails_and_ends_in_order(
    service: Serving, tmp_path: Path
) -> None:
    (tmp_path / "consumer.py").write_text(_block("python"), "utf-8")
    environment = {"URL": service.url, "KEY": service.key, "QUEUE": "orders", "LEASE": "1"}
    with service.client() as client:
        client.put("/v1/queues/orders").raise_for_status()
        messages = [{"body": body} for body in ("good", "bad", "slow")]
        client.post("/v1/queues/orders/messages/batch", json={"messages": messages}).raise_for_status()
        consumer = subprocess.Popen(
            [sys.executable, "-c", _DRIVER], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
        )
        deadline = time.monotonic() + 20
        while not _waits_with_nothing_left(client):
            assert consumer.poll() is None
            assert time.monotonic() < deadline, "not everything was consumed"
            time.sleep(0.05)
        consumer.terminate()
        client.post("/v1/queues/orders/messages", json={"body": "last"}).raise_for_status()
        shown, _ = consumer.communicate(timeout=20)
    assert consumer.returncode == 0
    assert shown.splitlines() == [
        "good 1 None",
        "bad 1 None",
        "slow 1 None",
        "bad 2 ValueError('no such order')",
        "last 1 None",
    ]


def test_the_python_consumer_repeats_its_receives_and_settles_until_they_are_answered(
    service: Serving, tmp_path: Path
) -> None:
    (tmp_path / "consumer.py").write_text(_block("python"), "utf-8")
    pauses = ["pause 7", "pause 3600", "pause 0", "pause 0"]
    # The receive, the extend and the delete of the first message; the release of the second.
    expected = [*pauses * 3, "DELETE 204", *pauses, "POST 204"]
    with service.client() as client, bad_road(client) as url:
        client.put("/v1/queues/orders").raise_for_status()
        messages = [{"body": body} for body in ("good", "bad")]
        client.post("/v1/queues/orders/messages/batch", json={"messages": messages}).raise_for_status()
        environment = {"URL": url, "KEY": service.key, "QUEUE": "orders", "LEASE": "2"}
        command = [sys.executable, "-c", _PATIENT_DRIVER]
        with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as consumer:
            assert consumer.stdout is not None
            shown = [consumer.stdout.readline().strip() for _ in expected]
            consumer.kill()
        stats = client.get("/v1/queues/orders").json()["stats"]
    assert shown == expected
    assert (stats["total"], stats["delayed"]) == (1, 1)


def test_the_bash_consumer_is_bash() -> None:
    subprocess.run(["bash", "-n"], input=_block("bash"), text=True, check=True)
