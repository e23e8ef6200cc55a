"""Retention of the lake: days (of kafka_timestamp, UTC) older than `LOGLAKE_MAINTENANCE_LAKE_DAYS` are deleted whole, and booked.

A day goes when the warehouse has all its rows. It is booked, its files are deleted in one commit, and that is noted: of a run that was
killed in between, the next one tells from the lake which it had come to. Loads wait meanwhile; the stream and readers do not.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import psycopg
from pyiceberg.manifest import DataFile
from pyiceberg.table import StaticTable
from pyspark.sql import SparkSession

from loglake import erasure, lake, retirement
from loglake.errors import ServiceError
from loglake.retirement import RetiredDay
from loglake.settings import settings
from spark_jobs import lake_actions, lake_plan, merge

#: Less than a load waits for the lock (LOGLAKE_LOAD_LOCK_TIMEOUT_SECONDS), as loads are held up meanwhile.
_LOCK_SECONDS = 45.0
_POSITION = ("topic", "partition", "offset", "reject_reason")

Outcome = tuple[str, dict[str, float]]


def run(bronze: Callable[[], StaticTable], spark: Callable[[], SparkSession], *, dry_run: bool, today: date | None = None) -> Outcome:
    """Retire what is due; `bronze` reads the table's present state, `spark` starts the session when one is needed."""
    keep = settings().maintenance.lake_days
    before = (today or datetime.now(UTC).date()) - timedelta(days=keep)
    is_due = bool(keep) and any(day < before for day in lake_plan.records_by_day(bronze()))
    if is_due and not dry_run:
        # Before the lock: who waits for it should not wait for Spark to start too.
        spark()
    with merge.only_loader(_LOCK_SECONDS) as connection:
        if not dry_run:
            settle(connection, bronze())
        if not keep:
            return "kept for ever", {}
        if not is_due:
            return f"no day before {before} is left", {"days": 0, "records": 0}
        return _retire(connection, bronze(), spark, before, dry_run=dry_run)


def settle(connection: psycopg.Connection, bronze: StaticTable) -> None:
    """Finish the books of retirements that were killed: what they booked is gone, or it is still there and the booking is taken back."""
    deleted_at = {
        snapshot.summary[retirement.SNAPSHOT_PROPERTY]: datetime.fromtimestamp(snapshot.timestamp_ms / 1000, UTC)
        for snapshot in bronze.snapshots()
        if snapshot.summary
    }
    for found in retirement.unfinished(connection):
        at = deleted_at.get(str(found.retirement_id))
        if at is None and not lake_plan.records_by_day(bronze).keys().isdisjoint(found.days):
            retirement.withdraw(connection, found.retirement_id)
        else:
            retirement.finish(connection, found.retirement_id, at or found.booked_at)


def _retire(
    connection: psycopg.Connection, bronze: StaticTable, spark: Callable[[], SparkSession], before: date, *, dry_run: bool
) -> Outcome:
    if erasure.unfinished(connection).ids:
        raise ServiceError("an erasure is not finished, so no day of the lake is retired: run `loglake forget` again, for the same user")
    days, waiting = retirable(bronze, merge.last_position(connection)[1], before)
    files = [file for file in lake.data_files(bronze) if lake_plan.day_of(file) in days]
    records = sum(file.record_count for file in files)
    facts: dict[str, float] = {"days": len(days), "records": records, "days_left": len(waiting)}
    note = f"{len(days):,} days before {before} ({records:,} records) {'would be retired' if dry_run else 'retired'}"
    if waiting:
        note += f", {len(waiting):,} wait for a load"
    if files and not dry_run:
        _delete(connection, spark(), files)
    return note, facts


def retirable(bronze: StaticTable, position: int | None, before: date) -> tuple[set[date], set[date]]:
    """The days before that one of which the load's snapshot has every record, and those that must wait for a load."""
    due = {day: records for day, records in lake_plan.records_by_day(bronze).items() if day < before}
    if position is None or bronze.snapshot_by_id(position) is None:
        return set(), set(due)
    loaded = lake_plan.records_by_day(bronze, position)
    ready = {day for day, records in due.items() if loaded[day] == records}
    return ready, due.keys() - ready


def _delete(connection: psycopg.Connection, spark: SparkSession, files: list[DataFile]) -> None:
    """Book what the files hold, delete them in one commit, and note that they are gone."""
    days = count(files)
    retirement_id = retirement.book(connection, days)
    reached: dict[str, dict[int, int]] = {}
    for day in days:
        last = reached.setdefault(day.topic, {})
        last[day.partition] = max(day.last_offset, last.get(day.partition, -1))
    lake_actions.note_reached(spark, reached)
    lake_actions.delete_files(spark, [file.file_path for file in files], {retirement.SNAPSHOT_PROPERTY: str(retirement_id)})
    retirement.finish(connection, retirement_id, datetime.now(UTC))


def count(files: list[DataFile]) -> list[RetiredDay]:
    """What the files hold, by day and Kafka partition; ServiceError when a record is there twice, as then the books are not right."""
    found: dict[tuple[date, str, int], list[tuple[int, bool]]] = {}
    for file in files:
        for row in lake.read_columns(file, _POSITION).to_pylist():
            place = (lake_plan.day_of(file), row["topic"], row["partition"])
            found.setdefault(place, []).append((row["offset"], row["reject_reason"] is not None))
    days = []
    for (day, topic, partition), rows in sorted(found.items()):
        offsets = {offset for offset, _ in rows}
        if len(offsets) != len(rows):
            raise ServiceError(f"the lake holds records of partition {partition} of {topic} twice on {day}: see `loglake reconcile`")
        days.append(RetiredDay(day, topic, partition, len(rows), sum(is_bad for _, is_bad in rows), min(offsets), max(offsets)))
    return days
