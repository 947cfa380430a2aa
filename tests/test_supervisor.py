"""Several processes on one socket."""

from service.supervisor import Supervisor


def test_workers_that_died_before_any_served_are_made_up_for_when_one_serves() -> None:
    started: list[int] = []
    serving: list[str] = []

    class Counting(Supervisor):
        def _start(self) -> None:
            started.append(1)

    supervisor = Counting(lambda: None, (), lambda: serving.append("yes"))
    supervisor._wanted = 3
    supervisor._writer.send_bytes(b"1")
    supervisor._note_serving()
    assert (len(started), serving) == (3, ["yes"])
