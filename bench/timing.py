"""Rounds of measurements: interleaved, so that a machine whose speed drifts slows all sides alike; medians and spreads."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Measured:
    """Something to time: `work` returns how many units it handled; `prepare` runs before it and is not timed."""

    work: Callable[[], int]
    prepare: Callable[[], object] = lambda: None


@dataclass
class Series:
    """The rates (units per second) of one thing measured, a round each."""

    rates: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.rates)

    def as_dict(self) -> dict[str, float | list[float]]:
        return {"median": round(self.median, 1), "min": round(min(self.rates), 1), "max": round(max(self.rates), 1)}


def rounds(number: int, measured: dict[str, Measured], tell: Callable[[str], None]) -> dict[str, Series]:
    """Run each measurement once per round, in turn. One warm-up round is not counted."""
    series = {name: Series() for name in measured}
    for turn in range(number + 1):
        for name, one in measured.items():
            one.prepare()
            began = time.perf_counter()
            units = one.work()
            rate = units / (time.perf_counter() - began)
            if turn:
                series[name].rates.append(rate)
            tell(f"{'round ' + str(turn) if turn else 'warm-up'}: {name} {rate:,.0f}/s")
    return series


def ratio(series: dict[str, Series], over: str, under: str) -> dict[str, float | list[float]]:
    """The median, least and greatest of the rounds' ratios of two rates."""
    pairs = [a / b for a, b in zip(series[over].rates, series[under].rates, strict=True)]
    return {"median": round(statistics.median(pairs), 2), "min": round(min(pairs), 2), "max": round(max(pairs), 2)}
