"""The batch job lake → Postgres: what came since the last load, once. Run as `python -m spark_jobs.load [--full]`.

Killed at any point it leaves nothing half done: staging tables are the load's own and dropped by the next one, and rows
and manifest are one transaction. The last line of standard output is the result as JSON.
"""

import argparse
import logging
import secrets
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from types import ModuleType

import psycopg
from pyspark.sql import SparkSession

from loglake import clients, lake, logs
from loglake.errors import LoglakeError
from loglake.jobs import Result, report
from loglake.lineage import sending
from loglake.settings import settings
from loglake.spark import batch_session
from spark_jobs import lake_range, merge
from spark_jobs.copy_files import CopyTask, Staged, copy_files

log = logging.getLogger("spark_jobs.load")


@dataclass(frozen=True)
class LoadResult(Result):
    """What a load did; `load_id` is None when nothing was new, and then every count is 0."""

    load_id: int | None
    snapshot_from: int | None
    snapshot_to: int | None
    files_read: int
    rows_read: int
    rows_inserted: int
    rows_duplicate: int
    rows_rejected: int
    seconds: float

    @property
    def note(self) -> str:
        if self.load_id is None:
            return "nothing new in the lake"
        return (
            f"load {self.load_id}: {self.rows_read:,} rows read = {self.rows_inserted:,} inserted + {self.rows_duplicate:,} duplicate "
            f"+ {self.rows_rejected:,} rejected, snapshots {self.snapshot_from or 'start'}..{self.snapshot_to}, {self.seconds:.1f} s"
        )


def run(*, full: bool = False, parent: str = "") -> LoadResult:
    """One load with a Spark session of its own; `full` reads the whole lake again, for when the history between is gone.

    The lock comes before Spark: a load that waits for it must not hold the cores that the one before it needs.
    With nothing new Spark is not started at all. `parent` is the run of Airflow that the load is part of (loglake.lineage).
    """
    began = datetime.now(UTC)
    try:
        with merge.only_loader(settings().load.lock_timeout_seconds) as connection:
            result = load_new(connection, full=full)
    except Exception as error:
        reason = clients.one_line(error)
        sending.send(lambda: _lineage().failed(reason, began, datetime.now(UTC), parent))
        raise
    sending.send(lambda: _lineage().done(asdict(result), began, datetime.now(UTC), parent))
    return result


def _lineage() -> ModuleType:
    from loglake.lineage import load

    return load


def load_new(connection: psycopg.Connection, *, full: bool = False, prefix: str = "") -> LoadResult:
    """One load into the schemas with this prefix; the caller sees to it that no other load writes there."""
    began = time.monotonic()
    _, position = merge.last_position(connection, prefix)
    bronze = lake.table()
    snapshot = bronze.current_snapshot() if bronze else None
    if snapshot is None or (snapshot.snapshot_id == position and not full):
        return _nothing_new(position, began)
    with batch_session("loglake-load") as spark:
        return load(spark, connection, full=full, prefix=prefix)


def load(spark: SparkSession, connection: psycopg.Connection, *, full: bool = False, prefix: str = "") -> LoadResult:
    """Load what is new; `connection` holds the loader's lock (`merge.only_loader`)."""
    began, started_at = time.monotonic(), datetime.now(UTC)
    merge.drop_leftovers(connection, prefix)
    last_id, position = merge.last_position(connection, prefix)
    logs.bind(load_id=last_id + 1)
    planned = lake_range.plan(spark, None if full else position)
    if planned is None:
        return _nothing_new(position, began)
    staged = stage(spark, planned, last_id + 1, f"{prefix}stage")
    manifest = {
        "load_id": last_id + 1,
        "snapshot_from": planned.start,
        "snapshot_to": planned.end,
        "started_at": started_at,
        "files_read": len(planned.files),
    }
    counts = merge.merge(connection, staged, manifest, prefix)
    return LoadResult(last_id + 1, planned.start, planned.end, len(planned.files), **asdict(counts), seconds=time.monotonic() - began)


def _nothing_new(position: int | None, began: float) -> LoadResult:
    return LoadResult(None, position, position, 0, 0, 0, 0, 0, time.monotonic() - began)


def stage(
    spark: SparkSession, planned: lake_range.Range, load_id: int, schema: str, received: tuple[datetime, datetime] | None = None
) -> list[Staged]:
    """COPY the range's rows into one staging table per task. The token keeps a killed load's tasks apart.

    `received`: only rows that Kafka received from the first moment on and before the second.
    """
    config, token = settings(), secrets.token_hex(4)
    tasks = [
        CopyTask(
            schema=schema,
            table=f"load_{load_id}_{token}_{number}",
            paths=tuple(file.path for file in files),
            field_ids=planned.field_ids,
            hdfs=config.hdfs,
            postgres_uri=clients.postgres_uri("loader"),
            received=received,
        )
        for number, files in enumerate(lake_range.balance(planned.files, config.load.cores))
    ]
    staged = spark.sparkContext.parallelize(tasks, len(tasks)).map(copy_files).collect()
    copied = sum(part.good + part.rejected + part.left_out for part in staged)
    expected = sum(file.rows for file in planned.files)
    if copied != expected:
        raise LoglakeError(
            f"load {load_id}: {copied} rows were copied of {expected} that the lake's files hold; nothing was loaded, run it again"
        )
    return staged


def main() -> None:
    parser = argparse.ArgumentParser(description="Load what is new in the lake into Postgres, once.")
    parser.add_argument("--full", action="store_true", help="read the whole lake again; rows that are there count as duplicates")
    parser.add_argument("--parent", default="", help="the run of Airflow that this load is part of")
    arguments = parser.parse_args()
    report(log, lambda: _run(arguments))


def _run(arguments: argparse.Namespace) -> str:
    result = run(full=arguments.full, parent=arguments.parent)
    log.info("%s", result.note)
    return result.as_json()


if __name__ == "__main__":
    main()
