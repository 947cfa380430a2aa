"""What a part of the bench hands back: a figure with its formula, what it must be, and the raw numbers behind it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median


@dataclass(frozen=True)
class Bound:
    """What a figure must be."""

    limit: float
    at_least: bool

    def holds(self, value: float) -> bool:
        """Whether the value is on the right side."""
        return value >= self.limit if self.at_least else value <= self.limit

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.limit:g}"


@dataclass(frozen=True)
class Figure:
    """One line of the table. Without a bound it is there to be known; without a value the measurement failed."""

    name: str
    formula: str
    value: float | None
    unit: str = ""
    bound: Bound | None = None
    low: float | None = None
    high: float | None = None
    raw: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool | None:
        """Whether it is what it must be; None where nothing is asked."""
        if self.value is None:
            return False
        return self.bound.holds(self.value) if self.bound else None


def at_least(limit: float) -> Bound:
    """Ask for the limit or more."""
    return Bound(limit, at_least=True)


def at_most(limit: float) -> Bound:
    """Ask for the limit or less."""
    return Bound(limit, at_least=False)


def ratio(
    name: str,
    ours: tuple[str, Sequence[float]],
    base: tuple[str, Sequence[float]],
    bound: Bound | None,
    notes: Sequence[str] = (),
) -> Figure:
    """Divide what was measured in pairs: the median of the pairs' ratios, with the lowest and the highest.

    Each pair was measured one right after the other, so that a machine that is slow for a while is slow for both.
    """
    ratios = [one / other for one, other in zip(ours[1], base[1], strict=True)]
    return Figure(
        name=name,
        formula=f"{ours[0]} ÷ {base[0]}",
        value=median(ratios),
        bound=bound,
        low=min(ratios),
        high=max(ratios),
        raw={ours[0]: median(ours[1]), base[0]: median(base[1])},
        notes=tuple(notes),
    )
