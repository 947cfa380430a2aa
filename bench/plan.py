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
    patience: int
    ordered: int
    parked: int
    pushed: int
    connections: tuple[int, ...] = (16, 64)

    @property
    def busiest(self) -> int:
        """The number of connections that the demands are made at."""
        return self.connections[-1]

    @classmethod
    def full(cls) -> Self:
        """What is quoted."""
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
            patience=15,
            ordered=200_000,
            parked=5_000,
            pushed=200_000,
        )

    @classmethod
    def quick(cls) -> Self:
        """What shows in a few minutes that everything works; not to be quoted."""
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
            patience=5,
            ordered=20_000,
            parked=1_000,
            pushed=40_000,
        )
