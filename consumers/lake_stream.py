"""The stream Kafka → `lake.bronze.log_events`: every record once, good or bad. Run as `python -m consumers.lake_stream`.

Stateless: no watermark, so nothing late is dropped; no deduplication, so it is fast. A batch and the marker of its epoch
are one Iceberg commit, so a batch that is run again after a crash is not written again.
"""

import json
import logging
import queue
from datetime import UTC, datetime
from typing import Any

import psycopg
from pyspark.errors import StreamingQueryException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming.query import StreamingQuery
from pyspark.sql.streaming.readwriter import DataStreamWriter

from consumers import lake_columns, position, process, progress
from consumers.bronze import KAFKA_COLUMNS, decoder
from loglake import catalog, clients, lake, locks, logs, tables
from loglake.errors import ServiceError, StreamPositionError
from loglake.lineage import sending
from loglake.lineage.stream import StreamRun
from loglake.settings import settings
from loglake.spark import iceberg_table, java_iterator, session
from loglake.topic import LAKE_STREAM, bounds, topic_id
from loglake.warehouse import STREAM_LOCK_KEY

log = logging.getLogger("consumers.lake_stream")

#: How long the lock of another stream is waited for, and later, by each report, one that somebody has on its table.
LOCK_TIMEOUT = "30s"
_STOP_SECONDS = 60


def main() -> None:
    """Run until SIGTERM; exit code 2 when no safe start exists (a restart would not help), 1 on any other failure."""
    process.run_logged(log, run)


def run() -> None:
    config = settings()
    stopping = process.stop_on_signals()
    with clients.postgres("loader") as connection:
        _be_the_only_one(connection)
        if lake.table() is None:
            position.require_no_lost_table(catalog.metadata_files())
        spark = session(
            "loglake-lake-stream", config.stream.cores, config.stream.driver_memory, config.stream.executor_memory, config.stream.ui_port
        )
        listener = progress.ProgressListener()
        spark.streams.addListener(listener)
        prepare_table(spark)
        query = start(spark)
        logs.bind(query_id=str(query.id))
        log.info("started, checkpoint %s", checkpoint_path())
        told = StreamRun(str(query.runId))
        sending.send(told.start)
        _follow(query, listener, connection, stopping, told)
        spark.stop()


def prepare_table(spark: SparkSession) -> None:
    """Create the namespace and the table when they are not there, and add columns that are new in the contract.

    StreamPositionError when the table was filled from another topic; SchemaError when the contract changed otherwise than by new fields.
    """
    spark.sql(f"CREATE NAMESPACE IF NOT EXISTS {tables.CATALOG}.{tables.NAMESPACE}")
    spark.sql(tables.create_table(settings().lake))
    for addition in lake_columns.add_missing(spark, tables.FULL_NAME):
        log.info("new in the contract, added to the lake: %s", addition.clause)
    topic = settings().kafka.topic
    name, now = tables.topic_id_property(topic), str(topic_id(topic))
    known = {row["key"]: row["value"] for row in spark.sql(f"SHOW TBLPROPERTIES {tables.FULL_NAME}").collect()}
    if known.get(name, now) != now:
        raise StreamPositionError(
            f"topic {topic} was made anew (id {now}, the lake was filled from {known[name]}): its offsets would be taken for records that "
            "the lake has; set LOGLAKE_KAFKA_TOPIC to a new name"
        )
    # A lake of an older release has no retries of its own.
    if lacking := {key: value for key, value in {**tables.COMMIT_RETRIES, name: now}.items() if key not in known}:
        spark.sql(f"ALTER TABLE {tables.FULL_NAME} SET TBLPROPERTIES ({tables.sql_properties(lacking)})")


def checkpoint_path() -> str:
    return f"{settings().lake.checkpoints}/{tables.NAMESPACE}.{tables.TABLE}"


def start(spark: SparkSession) -> StreamingQuery:
    """Start the query from the position that the lake proves; StreamPositionError when there is none."""
    rows = records(spark, _starting_position(spark))
    writer = into_lake(rows).queryName(LAKE_STREAM).trigger(processingTime=f"{settings().stream.trigger_seconds} seconds")
    return writer.toTable(tables.FULL_NAME)


def into_lake(rows: DataFrame) -> DataStreamWriter:
    """A writer of bronze rows that keeps its place in the lake's checkpoint; the caller says when it triggers."""
    return (
        rows.writeStream.format("iceberg")
        .outputMode("append")
        .option("checkpointLocation", settings().hdfs.uri + checkpoint_path())
        .option("fanout-enabled", "true")
    )


def records(spark: SparkSession, starting: str) -> DataFrame:
    """The bronze rows of the topic from `starting` on, with the metrics that `progress` reports observed."""
    config = settings()
    source = spark.readStream.format("kafka").options(
        **clients.kafka_for_spark(),
        subscribe=config.kafka.topic,
        startingOffsets=starting,
        failOnDataLoss="true",
        maxOffsetsPerTrigger=str(config.stream.max_offsets_per_trigger),
    )
    delay = F.unix_micros("ingested_at") - F.unix_micros("event_ts")
    return bronze_rows(source.load()).observe(
        progress.OBSERVED,
        F.count(F.lit(1)).alias("rows_read"),
        F.count("reject_reason").alias("rows_rejected"),
        (F.percentile_approx(delay, 0.5, 100) / 1_000_000).alias("event_delay_seconds"),
    )


def bronze_rows(kafka: DataFrame) -> DataFrame:
    """The rows of the bronze table from what Spark's Kafka source gives, stream or batch."""
    return kafka.select(*KAFKA_COLUMNS).mapInArrow(decoder(settings().stream.max_payload_bytes), tables.spark_schema())


def _starting_position(spark: SparkSession) -> str:
    """Spark's `startingOffsets`; ignored by Spark when the checkpoint is continued."""
    client = clients.webhdfs()
    checkpoint = position.read_checkpoint(client, checkpoint_path())
    if position.is_continued_by(checkpoint, _marker(spark)):
        log.info("continuing from the checkpoint after batch %s", checkpoint.committed if checkpoint else None)
        return "earliest"
    kept = position.set_aside(client, checkpoint_path(), datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f"))
    if kept:
        log.warning("the checkpoint is not the one that the table ends with: kept as %s", kept)
    topic = settings().kafka.topic
    offsets = position.starting_offsets(lake_next(spark, topic), bounds(topic), topic)
    log.info("starting from the lake's own position: %s", offsets)
    return json.dumps({topic: offsets})


def lake_next(spark: SparkSession, topic: str) -> dict[int, int]:
    """The offset after the last of each partition of the topic that the lake has held."""
    rows = spark.table(tables.FULL_NAME).where(F.col("topic") == topic).groupBy("partition").agg(F.max("offset").alias("last")).collect()
    reached = tables.reached(iceberg_table(spark).properties().get(tables.reached_property(topic)))
    return position.next_offsets({row["partition"]: row["last"] for row in rows}, reached)


def _marker(spark: SparkSession) -> position.Marker | None:
    """The epoch marker of the newest snapshot that a stream wrote; None for a table without one."""
    jvm: Any = spark.sparkContext._jvm
    ancestors = jvm.org.apache.iceberg.util.SnapshotUtil.currentAncestors(iceberg_table(spark))
    for snapshot in java_iterator(ancestors):
        query_id = snapshot.summary().get(tables.EPOCH_MARKER)
        if query_id is not None:
            return position.Marker(query_id, int(snapshot.summary().get("spark.sql.streaming.epochId")))
    return None


def _be_the_only_one(connection: psycopg.Connection) -> None:
    """Hold the stream's advisory lock for as long as the connection lives."""
    busy = StreamPositionError("another lake stream is running: stop it first (`loglake status`, `loglake down`)")
    locks.wait_for(connection, [STREAM_LOCK_KEY], LOCK_TIMEOUT, busy)
    connection.execute("select set_config('lock_timeout', %s, false)", [LOCK_TIMEOUT])


def _follow(
    query: StreamingQuery, listener: progress.ProgressListener, connection: psycopg.Connection, stopping: list[int], told: StreamRun
) -> None:
    """Write the query's reports until it ends; on a signal let the running batch finish, then stop."""
    while query.isActive and not stopping:
        told.wrote(_write_reports(listener, connection))
        if events := told.running():
            sending.send(events.copy)
    if stopping:
        deadline = datetime.now(UTC).timestamp() + _STOP_SECONDS
        while query.isActive and query.status["isTriggerActive"] and datetime.now(UTC).timestamp() < deadline:
            told.wrote(_write_reports(listener, connection))
        query.stop()
        log.info("stopped after signal %s", stopping[0])
    told.wrote(_write_reports(listener, connection))
    try:
        query.awaitTermination()
    except StreamingQueryException as error:
        first = str(error).splitlines()[0]
        sending.send(lambda: told.end(first))
        if "failOnDataLoss" in str(error):
            raise StreamPositionError(f"topic {settings().kafka.topic} lost records that were not read yet: {first}") from error
        raise ServiceError(f"the stream failed: {first}") from error
    sending.send(told.end)


def _write_reports(listener: progress.ProgressListener, connection: psycopg.Connection) -> int:
    """Write what has been reported, waiting at most half a second for the first report; the rows that were read."""
    rows = 0
    try:
        report = listener.reports.get(timeout=0.5)
        while True:
            progress.write_report(connection, LAKE_STREAM, report)
            if report.get("rows_read"):
                rows += report["rows_read"]
                said = "%(rows_read)s records, %(rows_rejected)s rejected, %(duration_ms)s ms, lag %(lag)s"
                log.info(said, report, extra={"batch_id": report["batch_id"]})
            report = listener.reports.get_nowait()
    except queue.Empty:
        return rows


if __name__ == "__main__":
    main()
