"""What a stream did, written to `ops`: a row per micro-batch with records, and a heartbeat per trigger."""

import json
import queue
from typing import Any

import psycopg
from psycopg.types.json import Jsonb
from pyspark.sql.streaming.listener import (
    QueryIdleEvent,
    QueryProgressEvent,
    QueryStartedEvent,
    QueryTerminatedEvent,
    StreamingQueryListener,
)

#: Name of the metrics that `lake_stream` observes.
OBSERVED = "records"

_BATCH = """
insert into ops.stream_progress (query_id, batch_id, run_id, topic, finished_at, duration_ms, rows_read, rows_rejected,
                                 start_offsets, end_offsets, lag, event_delay_seconds)
values (%(query_id)s, %(batch_id)s, %(run_id)s, %(topic)s, now(), %(duration_ms)s, %(rows_read)s, %(rows_rejected)s,
        %(start_offsets)s, %(end_offsets)s, %(lag)s, %(event_delay_seconds)s)
on conflict (query_id, batch_id) do update
set run_id = excluded.run_id, finished_at = excluded.finished_at, duration_ms = excluded.duration_ms,
    rows_read = excluded.rows_read, rows_rejected = excluded.rows_rejected, lag = excluded.lag
"""
_HEARTBEAT = """
insert into ops.stream_heartbeat (stream, query_id, run_id, seen_at, lag)
values (%(stream)s, %(query_id)s, %(run_id)s, now(), %(lag)s)
on conflict (stream) do update
set query_id = excluded.query_id, run_id = excluded.run_id, seen_at = excluded.seen_at,
    lag = coalesce(%(known_lag)s, stream_heartbeat.lag)
"""


class ProgressListener(StreamingQueryListener):
    """Puts each report of the query into a queue; the stream's main thread writes them, so that a failure is not lost."""

    def __init__(self) -> None:
        self.reports: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()

    def onQueryStarted(self, event: QueryStartedEvent) -> None:
        self.reports.put({"query_id": str(event.id), "run_id": str(event.runId)})

    def onQueryProgress(self, event: QueryProgressEvent) -> None:
        self.reports.put(batch_report(json.loads(event.progress.json)))

    def onQueryIdle(self, event: QueryIdleEvent) -> None:
        self.reports.put({"query_id": str(event.id), "run_id": str(event.runId)})

    def onQueryTerminated(self, event: QueryTerminatedEvent) -> None:
        """Nothing to report: the main thread sees the end itself."""


def batch_report(progress: dict[str, Any]) -> dict[str, Any]:
    """The row of `ops.stream_progress` for one progress report of Spark (its JSON, as a dict)."""
    source = progress["sources"][0]
    (_, start), (topic, end), (_, latest) = (_offsets(source.get(name)) for name in ("startOffset", "endOffset", "latestOffset"))
    observed = progress.get("observedMetrics", {}).get(OBSERVED, {})
    return {
        "query_id": progress["id"],
        "run_id": progress["runId"],
        "batch_id": progress["batchId"],
        "topic": topic,
        "duration_ms": progress["durationMs"].get("triggerExecution", 0),
        "rows_read": observed.get("rows_read") or 0,
        "rows_rejected": observed.get("rows_rejected") or 0,
        "event_delay_seconds": observed.get("event_delay_seconds"),
        "start_offsets": Jsonb(start),
        "end_offsets": Jsonb(end),
        "lag": sum(latest.values()) - sum(end.values()) if latest and end else 0,
    }


def _offsets(text: Any) -> tuple[str, dict[str, int]]:
    """The one topic in Spark's `{"topic": {"0": 1}}`, which may come as text, and its offsets per partition; empty for none."""
    document = json.loads(text) if isinstance(text, str) else text
    return next(iter(document.items()), ("", {})) if document else ("", {})


def write_report(connection: psycopg.Connection, stream: str, report: dict[str, Any]) -> None:
    """Write one report in one transaction: the heartbeat always, the batch when it held records."""
    with connection.transaction():
        if report.get("rows_read"):
            connection.execute(_BATCH, report)
        connection.execute(_HEARTBEAT, {**report, "stream": stream, "lag": report.get("lag", 0), "known_lag": report.get("lag")})
