"""Figures: the results of a part of the bench, each with its formula, its bound and the raw numbers behind it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median


@dataclass(frozen=True)
class Bound:
    """The limit that a figure must not fall below or exceed."""

    limit: float
    at_least: bool

    def holds(self, value: float) -> bool:
        """Return whether the value is on the right side of the limit."""
        return value >= self.limit if self.at_least else value <= self.limit

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.limit:g}"


@dataclass(frozen=True)
class Figure:
    """One line of the table. Without a bound it is for information; without a value the measurement has failed."""

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
        """Whether the figure is within its bound; None without a bound."""
        if self.value is None:
            return False
        return self.bound.holds(self.value) if self.bound else None


def at_least(limit: float) -> Bound:
    """Return the bound of at least `limit`."""
    return Bound(limit, at_least=True)


def at_most(limit: float) -> Bound:
    """Return the bound of at most `limit`."""
    return Bound(limit, at_least=False)


def ratio(
    name: str,
    measured: tuple[str, Sequence[float]],
    base: tuple[str, Sequence[float]],
    bound: Bound | None,
    notes: Sequence[str] = (),
) -> Figure:
    """Return the median of the ratios of pairs of measurements, with the lowest and the highest.

    The two of a pair were measured right after each other, so that a machine that is slow for a while slows both.
    """
    ratios = [one / other for one, other in zip(measured[1], base[1], strict=True)]
    return Figure(
        name=name,
        formula=f"{measured[0]} ÷ {base[0]}",
        value=median(ratios),
        bound=bound,
        low=min(ratios),
        high=max(ratios),
        raw={measured[0]: median(measured[1]), base[0]: median(base[1])},
        notes=tuple(notes),
    )
