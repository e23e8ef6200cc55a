"""Erase a person: from the lake (delete, rewrite, expire), and from the warehouse, which is rebuilt from what is left.

First it is booked which records go (`loglake.erasure`), then they go. Killed at any point it can be run again: it goes on with
what is booked. No replay of rejects runs meanwhile. The stream and the load may; what they bring after the person's records were
looked up, stays.
"""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from loglake import clients, erasure, live, resolutions, retirement, tables, topic
from loglake.erasure import Position
from loglake.errors import ServiceError
from loglake.settings import settings
from loglake.spark import batch_session, iceberg_table, java_iterator
from spark_jobs import lake_actions, rebuild
from spark_jobs.rebuild import OnStep, Rebuilt

_DELETE = f"""
DELETE FROM {tables.FULL_NAME} AS held WHERE EXISTS (
    SELECT 1 FROM erased WHERE erased.topic = held.topic AND erased.partition = held.partition AND erased.offset = held.offset
)
"""  # noqa: S608 - the name is a constant
#: A file that no snapshot knows was left by a killed writer, or is being written; a stream's batch takes minutes at most.
_ORPHAN_AGE = timedelta(hours=1)


@dataclass(frozen=True)
class Forgotten:
    """What was erased where; counts of the lake are of this run, a killed one may have done its part before."""

    events: int
    session_events: int
    rejected: int
    files_rewritten: int
    raw_events: int
    raw_rejected: int
    snapshots_expired: int
    files_removed: int
    in_kafka_until: datetime | None
    rebuilt: Rebuilt

    def as_json(self) -> str:
        """One line, times in ISO 8601."""
        return json.dumps(asdict(self), default=str)


def run(user_id: str, on_step: OnStep, *, lose_retired: bool = False) -> Forgotten | None:
    """Erase the person with this user id; None when nothing names that id and no erasure waits to be finished.

    LoadInProgressError while a rebuild, maintenance of the lake, a replay of rejects or a backfill is at work. BadInputError when the
    rebuild would lose days that the lake has retired, unless `lose_retired`.
    """
    with clients.postgres("postgres") as admin, rebuild.only_rebuild(admin):
        resolutions.only_repair(admin)
        retirement.require_accepted_loss(admin, accepted=lose_retired)
        on_step("looking for the person's records in the lake")
        found, files = _from_lake(admin, user_id)
        waiting = erasure.unfinished(admin)
        # Of days that the lake has retired only the warehouse still knows, until the rebuild.
        in_raw, newest = erasure.in_warehouse(admin, waiting.ids, user_id, needles(user_id))
        if newest is None:
            return None
        rebuilt = rebuild.rebuild(admin, on_step)
        on_step("expiring the lake's snapshots from before the erasure")
        snapshots, removed = _expire()
        resolutions.forget(admin, waiting.ids)
        # Last: by now the live stream has long ended a batch that began before the records were booked.
        live.forget(admin, user_id)
        erasure.finish(admin, waiting.ids)
    return Forgotten(*found, files, *in_raw, snapshots, removed, topic.kept_until(settings().kafka.topic, newest), rebuilt)


def _from_lake(admin: psycopg.Connection, user_id: str) -> tuple[tuple[int, int, int], int]:
    """Book the person's records and delete all that is booked: how many of each kind were found, and files rewritten."""
    with batch_session("loglake-forget") as spark:
        rows = records_of(spark, user_id).collect()
        if rows:
            positions = [Position(row["topic"], row["partition"], row["offset"]) for row in rows]
            # First, as they cannot be looked up once they are gone.
            resolutions.locate(admin, [(row["event_id"], place) for row, place in zip(rows, positions, strict=True) if row["event_id"]])
            erasure.book(admin, user_id, positions, max(row["kafka_timestamp"] for row in rows))
        kinds = [row["kind"] for row in rows]
        found = kinds.count("event"), kinds.count("session"), kinds.count("rejected")
        return found, delete(spark, erasure.positions(admin))


def records_of(spark: SparkSession, user_id: str) -> DataFrame:
    """Position, kafka_timestamp, event_id and kind of each record that is the person's, as the lake is now.

    `event`: names the user. `session`: names nobody, in a session in which the person is the only one named. `rejected`: no event, but
    its bytes hold the id as a JSON string.
    """
    snapshot = iceberg_table(spark).currentSnapshot()
    if snapshot is None:
        raise ServiceError("the lake is empty: there is nobody to forget")
    lake = spark.read.option("versionAsOf", snapshot.snapshotId()).table(tables.FULL_NAME)
    named = F.col("user_id") == user_id
    sessions = lake.where(named).select("session_id").distinct()
    shared = lake.where(F.col("user_id").isNotNull() & ~named).select("session_id").distinct()
    own = sessions.join(shared, "session_id", "left_anti").withColumn("is_own", F.lit(True))
    payload_has_id = F.lit(False)
    for needle in needles(user_id):
        payload_has_id |= F.contains("payload", F.lit(bytearray(needle)))
    kind = (
        F.when(named, "event")
        .when(F.col("is_own") & F.col("user_id").isNull() & F.col("reject_reason").isNull(), "session")
        .when(payload_has_id, "rejected")
    )
    marked = lake.join(F.broadcast(own), "session_id", "left").withColumn("kind", kind)
    return marked.where("kind is not null").select("topic", "partition", "offset", "kafka_timestamp", "event_id", "kind")


def needles(user_id: str) -> list[bytes]:
    """The id as a JSON string, as the usual encoders write it: other characters than ASCII as they are, or escaped."""
    return sorted({json.dumps(user_id, ensure_ascii=ascii_only).encode() for ascii_only in (True, False)})


def delete(spark: SparkSession, positions: list[Position]) -> int:
    """Delete these records from the lake's current state; the number of data files that were written anew without them."""
    if not positions:
        return 0
    _prepare(spark)
    spark.createDataFrame(positions, "topic string, partition int, offset bigint").createOrReplaceTempView("erased")
    spark.sql(_DELETE)
    left = spark.table(tables.FULL_NAME).join(spark.table("erased"), list(Position._fields), "left_semi").count()
    if left:
        raise ServiceError(f"{left} of {len(positions)} records that were to be erased are still in the lake: run it again")
    boundary = _boundary(iceberg_table(spark))
    return int(boundary.summary().get("deleted-data-files") or 0) if boundary else 0


def _prepare(spark: SparkSession) -> None:
    """Let the stream append while rows are deleted, and note how far the lake has come.

    Appends are no conflict: which records go is fixed by their positions.
    """
    reached: dict[str, dict[int, int]] = {}
    rows = spark.table(tables.FULL_NAME).groupBy("topic", "partition").agg(F.max("offset").alias("last")).collect()
    for row in rows:
        reached.setdefault(row["topic"], {})[row["partition"]] = row["last"]
    iceberg_table(spark).updateProperties().set("write.delete.isolation-level", "snapshot").commit()
    lake_actions.note_reached(spark, reached)


def _boundary(table: Any) -> Any:
    """The newest snapshot that deleted rows, as Iceberg's own Java object; None when there is none."""
    table.refresh()
    deletes = [snapshot for snapshot in java_iterator(table.snapshots()) if snapshot.operation() in ("overwrite", "delete")]
    return max(deletes, key=lambda snapshot: snapshot.sequenceNumber(), default=None)


def _expire() -> tuple[int, int]:
    """Expire every snapshot from before the last delete, and remove what killed writers left: snapshots and files removed.

    The warehouse has been rebuilt from a later one by now, so the next load does not need them.
    """
    with batch_session("loglake-forget") as spark:
        table = iceberg_table(spark)
        boundary = _boundary(table)
        if boundary is None:
            return 0, 0
        old = [s.snapshotId() for s in java_iterator(table.snapshots()) if s.sequenceNumber() < boundary.sequenceNumber()]
        removed = lake_actions.expire(spark, old) if old else 0
        return len(old), removed + lake_actions.remove_orphans(spark, datetime.now(UTC) - _ORPHAN_AGE)
