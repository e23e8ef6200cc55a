"""Retention of the lake: days (of kafka_timestamp, UTC) older than `LOGLAKE_MAINTENANCE_LAKE_DAYS` are deleted whole, and booked.

A day goes when the warehouse has all its rows and the books of it are right. It is booked, its files are deleted in one commit, and that
is noted: of a run that was killed in between, the next one tells from the lake which it had come to (`settle`). Loads wait for the delete;
the stream and readers wait for nothing. The caller holds the lock of whatever remakes the lake.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import numpy as np
import psycopg
from pyiceberg.manifest import DataFile
from pyiceberg.table import StaticTable
from pyspark.sql import SparkSession

from loglake import erasure, lake, retirement
from loglake.errors import LoadInProgressError
from loglake.lake import Held
from loglake.retirement import RetiredDay
from loglake.settings import settings
from spark_jobs import lake_actions, lake_plan, merge

#: How long a load that is at work is waited for: less than another one waits meanwhile (LOGLAKE_LOAD_LOCK_TIMEOUT_SECONDS).
LOCK_SECONDS = 45.0
_NONE = np.array([], dtype=np.int64)

Outcome = tuple[str, dict[str, float]]


@dataclass
class Plan:
    """The files and the counts of each day that may go, and how many days wait, by what for."""

    files: dict[date, list[DataFile]] = field(default_factory=dict)
    counts: list[RetiredDay] = field(default_factory=list)
    waiting: dict[str, int] = field(default_factory=dict)

    def outcome(self, before: date, done: str) -> Outcome:
        records = sum(day.records for day in self.counts)
        note = f"{len(self.files):,} days before {before} ({records:,} records) {done}"
        note += "".join(f", {days:,} wait for {what}" for what, days in self.waiting.items())
        return note, {"days": len(self.files), "records": records, "days_left": sum(self.waiting.values())}


def run(
    connection: psycopg.Connection,
    bronze: Callable[[], StaticTable],
    spark: Callable[[], SparkSession],
    *,
    dry_run: bool,
    today: date | None = None,
) -> Outcome:
    """Retire what is due; `bronze` reads the table's present state, `spark` starts the session when one is needed."""
    keep = settings().maintenance.lake_days
    if not keep:
        return "kept for ever", {}
    before = (today or datetime.now(UTC).date()) - timedelta(days=keep)
    planned = plan(connection, bronze(), before)
    if dry_run or not planned.files:
        return planned.outcome(before, "would be retired" if dry_run else "retired")
    session = spark()
    try:
        with merge.only_loader(LOCK_SECONDS):
            _keep_unchanged(planned, bronze())
            if planned.files:
                _delete(connection, session, planned)
    except LoadInProgressError:
        planned = Plan(waiting={**planned.waiting, "a load that is at work": len(planned.files)})
    return planned.outcome(before, "retired")


def plan(connection: psycopg.Connection, bronze: StaticTable, before: date) -> Plan:
    """What may go of the days before that one."""
    planned = Plan()
    by_day = _files_by_day(bronze, before)
    if not by_day:
        return planned
    if erasure.unfinished(connection).ids:
        planned.waiting["an erasure to be finished"] = len(by_day)
        return planned
    position, erased = merge.last_position(connection)[1], erasure.offsets(connection)
    is_known = position is not None and bronze.snapshot_by_id(position) is not None
    loaded = lake_plan.records_by_day(bronze, position) if is_known else {}
    for day, files in by_day.items():
        if loaded.get(day) != sum(file.record_count for file in files):
            planned.waiting["a load"] = planned.waiting.get("a load", 0) + 1
            continue
        held = lake.held_in(files)
        if all(is_whole(source.offsets, erased.get(place, _NONE)) for place, source in held.items()):
            planned.files[day] = files
            planned.counts += counts_of(day, held)
        else:
            what = "books that are right (`loglake reconcile`)"
            planned.waiting[what] = planned.waiting.get(what, 0) + 1
    return planned


def is_whole(offsets: np.ndarray, erased: np.ndarray) -> bool:
    """Whether every offset between the first and the last is there once, or was erased: a hole could not be told from the retired later."""
    first, last = offsets.min(), offsets.max()
    gone = np.count_nonzero((erased >= first) & (erased <= last))
    return len(np.unique(offsets)) == len(offsets) and last - first + 1 == len(offsets) + gone


def counts_of(day: date, held: Mapping[tuple[str, int], Held]) -> list[RetiredDay]:
    """What a day holds, by Kafka partition."""
    return [
        RetiredDay(day, *place, len(source.offsets), source.rejected, int(source.offsets.min()), int(source.offsets.max()))
        for place, source in sorted(held.items())
    ]


def settle(connection: psycopg.Connection, bronze: StaticTable) -> None:
    """Finish the books of retirements that were killed: what they booked is gone, or it is still there and the booking is taken back."""
    waiting = retirement.unfinished(connection)
    if not waiting:
        return
    deleted_at = {
        snapshot.summary[retirement.SNAPSHOT_PROPERTY]: datetime.fromtimestamp(snapshot.timestamp_ms / 1000, UTC)
        for snapshot in bronze.snapshots()
        if snapshot.summary
    }
    there = lake_plan.records_by_day(bronze)
    for found in waiting:
        at = deleted_at.get(str(found.token))
        if at is None and not there.keys().isdisjoint(found.days):
            retirement.withdraw(connection, found.retirement_id)
        else:
            retirement.finish(connection, found.retirement_id, at or found.booked_at)


def _files_by_day(bronze: StaticTable, before: date) -> dict[date, list[DataFile]]:
    found: dict[date, list[DataFile]] = {}
    for file in lake.data_files(bronze):
        if (day := lake_plan.day_of(file)) < before:
            found.setdefault(day, []).append(file)
    return dict(sorted(found.items()))


def _keep_unchanged(planned: Plan, bronze: StaticTable) -> None:
    """Leave out days that somebody has written to since they were counted."""
    now = _files_by_day(bronze, max(planned.files) + timedelta(days=1))
    changed = {day for day, files in planned.files.items() if _paths(now.get(day, [])) != _paths(files)}
    for day in changed:
        del planned.files[day]
    planned.counts = [count for count in planned.counts if count.day not in changed]
    if changed:
        planned.waiting["the next run"] = len(changed)


def _paths(files: Iterable[DataFile]) -> set[str]:
    return {file.file_path for file in files}


def _delete(connection: psycopg.Connection, spark: SparkSession, planned: Plan) -> None:
    """Book what the files hold, delete them in one commit, and note that they are gone."""
    retirement_id, token = retirement.book(connection, planned.counts)
    reached: dict[str, dict[int, int]] = {}
    for count in planned.counts:
        last = reached.setdefault(count.topic, {})
        last[count.partition] = max(count.last_offset, last.get(count.partition, -1))
    lake_actions.note_reached(spark, reached)
    paths = [file.file_path for files in planned.files.values() for file in files]
    lake_actions.delete_files(spark, paths, {retirement.SNAPSHOT_PROPERTY: str(token)})
    retirement.finish(connection, retirement_id, datetime.now(UTC))
