"""Promise 4 measured: what a ten-minute run costs follows the new rows, not the history."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

from pyspark.sql import SparkSession

from bench.tenant import tenant
from consumers import lake_stream
from loglake import models, tables
from loglake.errors import BadInputError
from loglake.settings import settings
from loglake.spark import session
from producers.flaws import Flaws
from producers.generate import Plan, generate
from spark_jobs.load import load
from spark_jobs.merge import only_loader


@dataclass(frozen=True)
class Runs:
    """Medians in seconds; the middle one of the runs found so many events there."""

    history: int
    load: float
    dbt: float
    both: float


@dataclass(frozen=True)
class Report:
    """The same number of new events with a history, and with ten times that history."""

    small: Runs
    large: Runs

    @property
    def ratio(self) -> float:
        return round(self.large.both / self.small.both, 2)


def measure(new: int, base: int, rounds: int, tell: Callable[[str], None]) -> Report:
    """Fill up to `base`, measure; fill up to ten times as many, measure again. BadInputError when `base` leaves no room for the runs."""
    first, second = fills(new, base, rounds)
    config = settings()
    with tenant():
        spark = session("loglake-bench", config.load.cores, "1g", "1g")
        try:
            lake_stream.prepare_table(spark)
            _bring(spark, first)
            _run(spark)
            small = _measure(spark, new, base, rounds, tell)
            _bring(spark, second)
            _run(spark)
            large = _measure(spark, new, 10 * base, rounds, tell)
        finally:
            spark.stop()
    return Report(small, large)


def fills(new: int, base: int, rounds: int) -> tuple[int, int]:
    """How many events to bring before each of the two measurements, so that the middle of the counted runs finds the history named."""
    ahead = new * (rounds + 1) // 2  # the warm-up's, and half of those of the other counted runs
    if base <= ahead:
        raise BadInputError(f"--base {base} leaves no room for --rounds {rounds} of --new {new}: give more than {ahead}")
    return base - ahead, 9 * base - new * (rounds + 1)


def _measure(spark: SparkSession, new: int, history: int, rounds: int, tell: Callable[[str], None]) -> Runs:
    """The first run after a fill is not counted: it warms caches and statistics up."""
    found: list[tuple[float, float]] = []
    for turn in range(rounds + 1):
        _bring(spark, new)
        seconds = _run(spark)
        tell(f"history {history:,}, {'run ' + str(turn) if turn else 'warm-up'}: load {seconds[0]:.1f} s, dbt {seconds[1]:.1f} s")
        if turn:
            found.append(seconds)
    median = [statistics.median(pair[part] for pair in found) for part in (0, 1)]
    return Runs(history, round(median[0], 2), round(median[1], 2), round(statistics.median(map(sum, found)), 2))


def _bring(spark: SparkSession, events: int) -> None:
    """So many new events into the lake."""
    generate(Plan(count=events, flaws=Flaws(late=0.02, resent=0.02, malformed=0.01)))
    rows = lake_stream.records(spark, "earliest")
    lake_stream.into_lake(rows).trigger(availableNow=True).toTable(tables.FULL_NAME).awaitTermination()


def _run(spark: SparkSession) -> tuple[float, float]:
    """A batch as the DAG runs it; the seconds of load and dbt."""
    began = time.perf_counter()
    with only_loader(settings().load.lock_timeout_seconds) as connection:
        load(spark, connection)
    loaded = time.perf_counter()
    models.run_dbt(models.SNAPSHOT)
    models.run_dbt(["build"])
    return loaded - began, time.perf_counter() - loaded
