"""The pipeline left to itself: consecutive scheduled runs with events arriving and maintenance in between.

After each run the books are asked, and the lake's files and snapshots counted. Set LOGLAKE_AIRFLOW_SCHEDULE to a short one before `up`.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from bench.generator import generating
from loglake import books, lake
from loglake.balance import balance
from loglake.errors import NotBalancedError, ServiceError
from loglake.orchestrate import DAG_ID, Airflow, Run

MAINTENANCE = "loglake_maintenance"
_POLL_SECONDS = 2.0
#: A run that does not come is waited for so long.
_PATIENCE_SECONDS = 1200.0


@dataclass(frozen=True)
class Seen:
    """A scheduled run, and what was found right after it: rows that raw holds, data files and snapshots of the lake."""

    run_id: str
    seconds: float
    events: int
    files: int
    snapshots: int


@dataclass(frozen=True)
class Report:
    """The runs in order, the maintenance runs in between, and how the last quarter's duration compares with the first's."""

    runs: list[Seen]
    maintenance: list[float]

    @property
    def ratio(self) -> float:
        """Median duration of the last quarter of the runs ÷ that of the first."""
        quarter = max(1, len(self.runs) // 4)
        first, last = ([run.seconds for run in part] for part in (self.runs[:quarter], self.runs[-quarter:]))
        return statistics.median(last) / statistics.median(first)


def measure(runs: int, rate: int, maintain_every: int, tell: Callable[[str], None]) -> Report:
    """Watch so many scheduled runs with `rate` events per second arriving; ServiceError at the first that fails, or unbalanced books."""
    airflow, since = Airflow(), datetime.now(UTC)
    seen: list[Seen] = []
    with generating(rate):
        while len(seen) < runs:
            run = _next(airflow, since, len(seen))
            seen.append(_look(run))
            tell(f"run {len(seen)} of {runs}: {seen[-1]}")
            if len(seen) % maintain_every == 0 and len(seen) < runs:
                airflow.trigger(MAINTENANCE)
                tell("maintenance triggered")
    return Report(seen, _maintenance(airflow, since, (runs - 1) // maintain_every))


def _next(airflow: Airflow, since: datetime, known: int) -> Run:
    """The next scheduled run after the `known` ones that are seen already, once it has ended well."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while len(found := [run for run in airflow.finished(DAG_ID, since) if run.is_scheduled]) <= known:
        if time.monotonic() > deadline:
            raise ServiceError(f"no scheduled run ended within {_PATIENCE_SECONDS:.0f} s: is LOGLAKE_AIRFLOW_SCHEDULE a short one?")
        time.sleep(_POLL_SECONDS)
    run = found[known]
    if run.state != "success":
        raise ServiceError(f"run {run.run_id} ended in state {run.state}: see `loglake logs airflow-scheduler`")
    return run


def _look(run: Run) -> Seen:
    """The books after a run, which must balance, and the size of the lake's metadata."""
    result = balance(books.gather())
    if not result.balanced:
        raise NotBalancedError(f"after run {run.run_id} the books do not balance: {result.findings[0]}")
    bronze = lake.table()
    if bronze is None:
        raise ServiceError("the lake has no table: is the stream running?")
    return Seen(run.run_id, run.seconds, result.facts.raw_events, len(lake.data_files(bronze)), len(bronze.metadata.snapshots))


def _maintenance(airflow: Airflow, since: datetime, expected: int) -> list[float]:
    """The seconds of each maintenance run, all of which must have succeeded."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while len(found := airflow.finished(MAINTENANCE, since)) < expected:
        if time.monotonic() > deadline:
            raise ServiceError(f"{len(found)} of {expected} maintenance runs have ended after {_PATIENCE_SECONDS:.0f} s")
        time.sleep(_POLL_SECONDS)
    for run in found:
        if run.state != "success":
            raise ServiceError(f"maintenance run {run.run_id} ended in state {run.state}: see its log in Airflow")
    return [run.seconds for run in found]
