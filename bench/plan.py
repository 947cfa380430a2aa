"""How long and how often each part measures."""

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Plan:
    """The sizes of one run."""

    rounds: int
    seconds: float
    backlog: int
    queues: int
    before: int
    held: int
    after: int
    wakes: int
    redriven: int
    watched: int
    ordered: int
    waiting: int
    idle: int
    pushed: int
    connections: tuple[int, ...] = (16, 64)

    @property
    def busiest(self) -> int:
        """The number of connections for which figures have bounds."""
        return self.connections[-1]

    @classmethod
    def full(cls) -> Self:
        """Return the sizes of a run whose figures are quoted."""
        return cls(
            rounds=5,
            seconds=5,
            backlog=1_000_000,
            queues=10_000,
            before=10,
            held=60,
            after=10,
            wakes=1000,
            redriven=100_000,
            watched=15,
            ordered=200_000,
            waiting=5_000,
            idle=900,
            pushed=200_000,
        )

    @classmethod
    def quick(cls) -> Self:
        """Return the sizes of a run that shows in a few minutes whether everything works; not to be quoted."""
        return cls(
            rounds=3,
            seconds=2,
            backlog=50_000,
            queues=1_000,
            before=4,
            held=10,
            after=4,
            wakes=150,
            redriven=20_000,
            watched=5,
            ordered=20_000,
            waiting=1_000,
            idle=900,
            pushed=40_000,
        )
