"""A rate held with everything running: does the stream's lag stay flat, and what saturates first when the rate is doubled?"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil

from bench.generator import generating
from bench.idle import cpu_seconds, processes
from loglake import topic
from loglake.errors import ServiceError
from loglake.settings import settings

_SAMPLE_SECONDS = 2.0
_SETTLE_SECONDS = 120.0
#: A lag is flat when its mean grows by less than this many seconds' worth of events from the first half to the second.
_FLAT_SECONDS = 5.0
_MOST_DOUBLINGS = 6
#: What the generator needs before its first event, at most.
_START_SECONDS = 5.0


@dataclass(frozen=True)
class Step:
    """One rate held: `lag_*` are records in Kafka that the lake did not have, `busiest` names the service with most processor."""

    asked: int
    sent: float
    lag_max: int
    lag_first: float
    lag_second: float
    busiest: str

    @property
    def holds(self) -> bool:
        """Whether the producer kept its rate and the lag did not grow."""
        return self.sent >= 0.95 * self.asked and self.lag_second - self.lag_first < _FLAT_SECONDS * self.asked


def measure(rate: int, seconds: int, tell: Callable[[str], None]) -> list[Step]:
    """Hold `rate`, then twice as much and so on, until a rate does not hold."""
    steps = [_hold(rate, seconds, tell)]
    while steps[-1].holds and len(steps) <= _MOST_DOUBLINGS:
        steps.append(_hold(steps[-1].asked * 2, max(60, seconds // 5), tell))
    return steps


def _hold(rate: int, seconds: int, tell: Callable[[str], None]) -> Step:
    _settle()
    before, began = _end(), time.monotonic()
    lags: list[int] = []
    with generating(rate, "--duration", f"{seconds}s") as generator:
        before_cpu = last_cpu = _cpu()
        while generator.poll() is None:
            time.sleep(_SAMPLE_SECONDS)
            lags.append(_lag())
            last_cpu = _cpu()
    if generator.returncode != 0:
        raise ServiceError(f"the generator ended with exit code {generator.returncode}: `loglake generate --rate {rate}` says why")
    elapsed = time.monotonic() - began
    cores = {name: (last_cpu[name] - before_cpu.get(name, 0.0)) / elapsed for name in last_cpu}
    busiest = max(cores, key=lambda name: cores[name])
    half = len(lags) // 2
    sent = (_end() - before) / max(seconds, elapsed - _START_SECONDS)
    busy = f"{busiest} {cores[busiest]:.2f} cores"
    step = Step(rate, sent, max(lags), statistics.mean(lags[:half]), statistics.mean(lags[half:]), busy)
    tell(f"{rate:,}/s for {seconds} s: {step}")
    return step


def _end() -> int:
    return sum(bounds.end for bounds in topic.bounds(settings().kafka.topic).values())


def _lag() -> int:
    return topic.lake_lag(settings().kafka.topic)


def _settle() -> None:
    """Wait until the stream has caught up, so that a step does not inherit the lag of the one before; ServiceError when it does not."""
    deadline = time.monotonic() + _SETTLE_SECONDS
    while (lag := _lag()) > 0:
        if time.monotonic() > deadline:
            raise ServiceError(f"the stream is {lag:,} records behind after {_SETTLE_SECONDS:g} s without load: see `loglake status`")
        time.sleep(_SAMPLE_SECONDS)


def _cpu() -> dict[str, float]:
    """Processor seconds so far of each service, and of what this process started (the generator)."""
    groups = {**processes(), "generator": psutil.Process().children()}
    return {name: cpu_seconds(members) for name, members in groups.items()}
