"""How long after Kafka has a record the live windows count it, at a rate, beside everything else that runs.

Sampled without marked events: the end of the topic at a moment, then the time until `live.stream_state` has passed it. A screen comes after
that by what it takes to ask, and by the time between two refreshes.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import psycopg

from bench.generator import generating
from bench.idle import cpu_seconds, processes
from loglake import clients, topic
from loglake.errors import ServiceError
from loglake.settings import settings
from loglake.topic import LIVE_STREAM

_POLL_SECONDS = 0.02
_PATIENCE_SECONDS = 60.0
_SERVICES = ("live-stream", "lake-stream", "spark-worker", "kafka", "postgres")
_NEXT = "select next_offsets from live.stream_state where stream = %s"
_BATCHES = "select batch_ms, batch_rows from live.stream_state where stream = %s"


@dataclass(frozen=True)
class Report:
    """Seconds from Kafka to Postgres (median, 95th percentile, longest), of how many samples; cores by service meanwhile."""

    rate: int
    sent: float
    samples: int
    median: float
    p95: float
    longest: float
    batch_ms: float
    cores: dict[str, float]


def measure(rate: int, seconds: int, tell: Callable[[str], None]) -> Report:
    """Hold a rate for so long, and sample."""
    with clients.postgres("monitor") as connection:
        _wait_past(connection, _ends())
        tell("the live stream has caught up; sending")
        with generating(rate, "--duration", f"{seconds}s") as generator:
            _wait_for_more(sum(_ends().values()))
            first, began, before = sum(_ends().values()), time.monotonic(), _cpu()
            delays, batches = list[float](), list[int]()
            while generator.poll() is None:
                delays.append(_sample(connection))
                batches += [batch_ms for batch_ms, rows in connection.execute(_BATCHES, [LIVE_STREAM]).fetchall() if rows]
                last, after, elapsed = sum(_ends().values()), _cpu(), time.monotonic() - began
    if generator.returncode != 0:
        raise ServiceError(f"the generator ended with exit code {generator.returncode}: `loglake generate --rate {rate}` says why")
    return Report(
        rate,
        (last - first) / elapsed,
        len(delays),
        *spread(delays),
        statistics.median(batches),
        {name: (after[name] - before.get(name, 0.0)) / elapsed for name in _SERVICES if name in after},
    )


def spread(delays: list[float]) -> tuple[float, float, float]:
    """Median, 95th percentile (of at least two samples) and the longest."""
    return statistics.median(delays), statistics.quantiles(delays, n=20, method="inclusive")[-1], max(delays)


def _sample(connection: psycopg.Connection) -> float:
    """Seconds until what the topic holds now is counted; asking Kafka for its end is part of it."""
    began = time.monotonic()
    _wait_past(connection, _ends())
    return time.monotonic() - began


def _ends() -> dict[int, int]:
    return {number: bounds.end for number, bounds in topic.bounds(settings().kafka.topic).items()}


def _wait_for_more(records: int) -> None:
    """Wait until the topic holds more than so many records: the generator has begun."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while sum(_ends().values()) == records:
        if time.monotonic() > deadline:
            raise ServiceError(f"nothing was sent within {_PATIENCE_SECONDS:.0f} s: `loglake generate --rate 100` says why")


def _wait_past(connection: psycopg.Connection, ends: dict[int, int]) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not _is_past(connection, ends):
        if time.monotonic() > deadline:
            raise ServiceError(f"the live stream does not catch up within {_PATIENCE_SECONDS:.0f} s: see `loglake logs live-stream`")
        time.sleep(_POLL_SECONDS)


def _is_past(connection: psycopg.Connection, ends: dict[int, int]) -> bool:
    row = connection.execute(_NEXT, [LIVE_STREAM]).fetchone()
    return row is not None and all(row[0].get(str(number), 0) >= end for number, end in ends.items())


def _cpu() -> dict[str, float]:
    return {name: cpu_seconds(members) for name, members in processes().items()}
