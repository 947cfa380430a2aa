"""Which queues somebody may receive from, and when: told to those who wait once the transaction has ended."""

from datetime import datetime


class Ready(dict[int, datetime]):
    """The earliest such time of each queue, by its id."""

    def add(self, queue_id: int, visible_at: datetime) -> None:
        """Note that a message of the queue becomes visible then."""
        self[queue_id] = min(visible_at, self.get(queue_id, visible_at))
