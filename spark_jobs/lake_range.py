"""Which data files of the lake are new: the files of the append snapshots between the loader's position and now.

Iceberg's incremental append scan leaves out what compaction rewrote, so a row is new once.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

from loglake import tables
from loglake.errors import SnapshotExpiredError
from loglake.spark import iceberg_table, java_iterator


@dataclass(frozen=True)
class DataFile:
    """A Parquet file of the lake: its path on HDFS (without scheme), its rows and bytes."""

    path: str
    rows: int
    bytes: int


@dataclass(frozen=True)
class Range:
    """The new files after snapshot `start` (None: from the beginning) up to and with `end`."""

    start: int | None
    end: int
    files: tuple[DataFile, ...]
    field_ids: dict[str, int]


def plan(spark: SparkSession, start: int | None) -> Range | None:
    """What came after snapshot `start`; None when nothing did. SnapshotExpiredError when the history between is gone."""
    table = iceberg_table(spark)
    current = table.currentSnapshot()
    if current is None or current.snapshotId() == start:
        return None
    end: int = current.snapshotId()
    files = _full_scan(table, end) if start is None else _append_scan(table, start, end)
    return Range(start, end, files, _field_ids(table)) if files else None


def plan_received(spark: SparkSession, snapshot: int, start: datetime, end: datetime) -> Range:
    """The files of a snapshot that may hold rows which Kafka received from `start` on and before `end`.

    SnapshotExpiredError when the snapshot is gone.
    """
    table = iceberg_table(spark)
    if table.snapshot(snapshot) is None:
        raise SnapshotExpiredError(
            f"{tables.FULL_NAME} no longer has snapshot {snapshot}, where the last load ended: run `loglake load`, or `loglake load --full`"
        )
    jvm: Any = spark.sparkContext._jvm
    say = jvm.org.apache.iceberg.expressions.Expressions
    bounds = say.greaterThanOrEqual("kafka_timestamp", start.isoformat()), say.lessThan("kafka_timestamp", end.isoformat())
    files = _files(table.newScan().useSnapshot(snapshot).filter(getattr(say, "and")(*bounds)))
    return Range(snapshot, snapshot, files, _field_ids(table))


def _field_ids(table: Any) -> dict[str, int]:
    return {field.name(): field.fieldId() for field in table.schema().columns()}


def _full_scan(table: Any, end: int) -> tuple[DataFile, ...]:
    return _files(table.newScan().useSnapshot(end))


def _append_scan(table: Any, start: int, end: int) -> tuple[DataFile, ...]:
    try:
        return _files(table.newIncrementalAppendScan().fromSnapshotExclusive(start).toSnapshot(end))
    except Py4JJavaError as error:
        raise SnapshotExpiredError(
            f"{tables.FULL_NAME} no longer has the history from snapshot {start}, where the last load ended, to {end} "
            f"({error.java_exception.getMessage()}): load the whole lake again with `loglake load --full`, what is there stays"
        ) from error


def _files(scan: Any) -> tuple[DataFile, ...]:
    found: list[DataFile] = []
    tasks = scan.planFiles()
    try:
        for task in java_iterator(tasks):
            if not task.deletes().isEmpty():
                raise SnapshotExpiredError(
                    f"{tables.FULL_NAME} has row-level deletes, which the loader does not read: rewrite its data files first"
                )
            file = task.file()
            found.append(DataFile(tables.path_of(file.location()), file.recordCount(), file.fileSizeInBytes()))
    finally:
        tasks.close()
    return tuple(sorted(found, key=lambda file: file.path))


def balance(files: tuple[DataFile, ...], groups: int) -> list[list[DataFile]]:
    """The files in at most `groups` groups of about the same number of bytes: the largest first, each to the lightest group."""
    piles: list[list[DataFile]] = [[] for _ in range(min(groups, len(files)))]
    for file in sorted(files, key=lambda file: file.bytes, reverse=True):
        min(piles, key=lambda pile: sum(member.bytes for member in pile)).append(file)
    return piles
