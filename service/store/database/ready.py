"""Queues that may be received from, and when. Waiting receives are woken once the transaction has ended."""

from datetime import datetime


class Ready(dict[int, datetime]):
    """The earliest such time of each queue, by the queue's id."""

    def add(self, queue_id: int, visible_at: datetime) -> None:
        """Note that a message of the queue becomes visible at this time."""
        self[queue_id] = min(visible_at, self.get(queue_id, visible_at))
