"""The stream Kafka → the live windows in Postgres. Run as `python -m consumers.live_stream`.

Spark reads; the records are decoded and the windows kept here, and written in one transaction per batch, with the offsets that they count.
So Spark's own checkpoint is of no consequence: each start has a new one. It is a view of the last hours: what it cannot go on with it makes
anew from Kafka (consumers/live_start.py).
"""

import json
import logging
import queue
import shutil
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
from pyspark.errors import StreamingQueryException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from consumers import live_start, live_store, process, progress
from consumers.bronze import KAFKA_COLUMNS
from consumers.live_rows import rows_of
from consumers.live_store import Batch
from consumers.live_windows import Windows
from loglake import clients, live, locks, logs
from loglake.errors import ServiceError
from loglake.settings import settings
from loglake.spark import local_session
from loglake.topic import LIVE_STREAM, topic_id

log = logging.getLogger("consumers.live_stream")

_LOCK_TIMEOUT = "30s"
_STOP_SECONDS = 20
#: Time between two removals of old windows, lines of the log, and looks whether a silent topic is still the same.
_CHORES_SECONDS = 30.0


def main() -> None:
    """Run until SIGTERM. Whatever else ends it, the supervisor starts it again, and it goes on from its tables."""
    process.run_logged(log, run)


def run() -> None:
    config = settings().live
    stopping = process.stop_on_signals()
    with clients.postgres("loader") as connection, clients.postgres("loader") as writer:
        _be_the_only_one(connection)
        spark = local_session("loglake-live-stream", config.driver_memory)
        listener = progress.ProgressListener()
        spark.streams.addListener(listener)
        sink = Sink(writer, live_start.prepare(writer), str(topic_id(settings().kafka.topic)))
        query = start(spark, sink)
        logs.bind(query_id=str(query.id))
        log.info("started from %s", sink.windows.next_offsets)
        _follow(query, listener, connection, sink, stopping)
        spark.stop()


@dataclass
class Sink:
    """Counts each batch and writes it; Spark calls it, one batch after the other."""

    connection: psycopg.Connection
    windows: Windows
    topic_id: str
    query_id: str = field(default="", init=False)
    rows: int = field(default=0, init=False)

    def __call__(self, records: DataFrame, batch_id: int) -> None:
        config, began = settings().live, time.monotonic()
        rows = rows_of(records.toArrow(), settings().stream.max_payload_bytes, config.latest_events)
        floor = live_store.microseconds(datetime.now(UTC) - timedelta(hours=config.keep_hours))
        before = dict(self.windows.next_offsets)
        fold = self.windows.fold(rows, floor)
        if fold.known:
            self.check_topic()
        if not fold.rows:
            return
        latest = [row for row in rows if row.payload is not None]
        batch = Batch(self.query_id, batch_id, fold, before, floor, latest, config.latest_events, began)
        live_store.write(self.connection, self.windows, batch)
        self.rows += fold.rows

    def check_topic(self) -> None:
        """ServiceError when the topic was made anew: its offsets begin again, and the next start begins with them."""
        if str(topic_id(settings().kafka.topic)) != self.topic_id:
            raise ServiceError(f"topic {settings().kafka.topic} was made anew: starting again with its records")


def start(spark: SparkSession, sink: Sink) -> StreamingQuery:
    """Start the query at the sink's offsets. What Kafka loses meanwhile is no reason to stop."""
    config, name = settings(), settings().kafka.topic
    source = spark.readStream.format("kafka").options(
        **clients.kafka_for_spark(),
        subscribe=name,
        startingOffsets=json.dumps({name: {str(number): offset for number, offset in sink.windows.next_offsets.items()}}),
        failOnDataLoss="false",
        maxOffsetsPerTrigger=str(config.live.max_offsets_per_trigger),
    )
    writer = source.load().select(*KAFKA_COLUMNS).writeStream.queryName(LIVE_STREAM).foreachBatch(sink)
    writer = writer.option("checkpointLocation", _new_checkpoint().as_uri())
    query = writer.trigger(processingTime=f"{config.live.trigger_seconds} seconds").start()
    sink.query_id = str(query.id)
    return query


def _new_checkpoint() -> Path:
    """An empty folder on this machine: Spark wants one, the position is in Postgres."""
    folder = settings().runtime.data_dir / "spark" / "live-checkpoint"
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    return folder


def _be_the_only_one(connection: psycopg.Connection) -> None:
    """Hold the stream's advisory lock for as long as the connection lives."""
    busy = ServiceError("another live stream is running: stop it first (`loglake status`, `loglake down`)")
    locks.wait_for(connection, [live.LOCK_KEY], _LOCK_TIMEOUT, busy)


def _follow(
    query: StreamingQuery, listener: progress.ProgressListener, connection: psycopg.Connection, sink: Sink, stopping: list[int]
) -> None:
    """Write heartbeats and do the chores until the query ends; on a signal let the running batch finish, then stop."""
    due, told = time.monotonic(), 0
    while query.isActive and not stopping:
        _beat(listener, connection)
        if time.monotonic() >= due:
            _chores(connection, sink, sink.rows - told)
            due, told = time.monotonic() + _CHORES_SECONDS, sink.rows
    if stopping:
        deadline = time.monotonic() + _STOP_SECONDS
        while query.isActive and query.status["isTriggerActive"] and time.monotonic() < deadline:
            _beat(listener, connection)
        query.stop()
        log.info("stopped after signal %s", stopping[0])
    try:
        query.awaitTermination()
    except StreamingQueryException as error:
        raise ServiceError(f"the live stream failed: {_cause(error)}") from error


def _chores(connection: psycopg.Connection, sink: Sink, rows: int) -> None:
    """Remove old windows. A topic that brings nothing may have been made anew: Spark waits for the old one's offsets."""
    live_store.remove_old(connection, datetime.now(UTC) - timedelta(hours=settings().live.keep_hours))
    if rows:
        log.info("%s records, %s panes in memory", rows, len(sink.windows.panes))
    else:
        sink.check_topic()


def _beat(listener: progress.ProgressListener, connection: psycopg.Connection) -> None:
    """Write the newest report, waiting at most half a second for one."""
    try:
        report = listener.reports.get(timeout=0.5)
        while not listener.reports.empty():
            report = listener.reports.get_nowait()
    except queue.Empty:
        return
    progress.write_report(connection, LIVE_STREAM, report)


def _cause(error: StreamingQueryException) -> str:
    """What a batch's own error says, which Spark puts below its own; otherwise Spark's first line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in reversed(lines) if line.startswith(("loglake.", "psycopg."))), lines[0])


if __name__ == "__main__":
    main()
