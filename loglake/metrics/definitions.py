"""Every metric that the end point gives: name, kind, help text and labels, by Prometheus' conventions for names.

https://prometheus.io/docs/practices/naming/: one prefix, base units (seconds, bytes), `_total` for what only grows. Each label's values
are bounded by the code, the settings or the project's files, never by the data.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "gauge", "summary"]


@dataclass(frozen=True)
class Definition:
    """One metric family. A counter's name has its `_total`; a summary has a count and a sum and no quantiles."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()


def _gauge(name: str, help_text: str, *labels: str) -> Definition:
    return Definition(f"loglake_{name}", "gauge", help_text, labels)


def _counter(name: str, help_text: str, *labels: str) -> Definition:
    return Definition(f"loglake_{name}", "counter", help_text, labels)


def _summary(name: str, help_text: str) -> Definition:
    return Definition(f"loglake_{name}", "summary", help_text)


SERVICES = (
    _gauge("build_info", "The release that answers; always 1.", "version"),
    _gauge("up", "Whether a service answered this scrape and is fit for a run (1), or not (0).", "service"),
    _gauge("scrape_source_duration_seconds", "How long a source of these metrics took to answer.", "source"),
)
STREAM = (
    _counter("stream_records_total", "Records that finished micro-batches of the lake stream brought into the lake."),
    _counter("stream_rejected_records_total", "Records among them that were rejected."),
    _summary("stream_batch_duration_seconds", "Finished micro-batches that held records, and the seconds they took."),
    _gauge("stream_lag_records", "Records of the topic that the stream had not read, by its last report."),
    _gauge("stream_heartbeat_timestamp_seconds", "When the stream last reported."),
    _gauge("live_heartbeat_timestamp_seconds", "When the live stream last reported."),
    _gauge("stream_event_delay_seconds", "Median time from event to lake in the last micro-batch."),
)
LOAD = (
    _summary("load_duration_seconds", "Committed loads, and the seconds they took."),
    _counter("load_read_rows_total", "Rows that loads read from the lake."),
    _counter("load_rows_total", "What became of the rows that were read.", "outcome"),
    _counter("load_files_total", "Data files of the lake that loads read."),
    _gauge("load_last_commit_timestamp_seconds", "When the last load committed."),
    _gauge("load_backlog_rows", "Rows of the lake's current snapshot that no load has read."),
)
BOOKS = (
    _gauge("books_balanced", "Whether the books balanced when last checked (1), or not (0)."),
    _gauge("books_findings", "What was found wrong in the books when last checked."),
    _gauge("books_checked_timestamp_seconds", "When the books were last checked."),
    _gauge("books_rows", "Rows of each stage when the books were last checked.", "stage"),
    _gauge("rejected_rows", "Rejected records in the warehouse by the code of their reason, when the books were last checked.", "reason"),
)
ALERTS = (
    _gauge(
        "alert_open",
        "Whether an alert rule, or a failed run of a DAG (rule dag), has an open incident (1), or not (0).",
        "rule",
        "severity",
    ),
)
WAREHOUSE = (
    _gauge("warehouse_size_bytes", "Size of the warehouse's database."),
    _gauge("warehouse_table_rows", "Live rows of a table by Postgres' statistics: an estimate.", "schema", "table"),
    _gauge("warehouse_table_size_bytes", "Size of a table with its indexes.", "schema", "table"),
)
LAKE = (
    _gauge("lake_rows", "Rows of the lake's current snapshot."),
    _gauge("lake_files", "Data files of the lake's current snapshot."),
    _gauge("lake_size_bytes", "Size of the data files of the lake's current snapshot."),
    _gauge("lake_snapshots", "Snapshots that the lake's table keeps."),
    _gauge("lake_last_commit_timestamp_seconds", "When the lake's current snapshot was committed."),
)
KAFKA = (
    _counter("kafka_records_total", "Records that a partition of the topic has been given: its end offset.", "topic", "partition"),
    _gauge("kafka_begin_offset", "The first offset that a partition still keeps.", "topic", "partition"),
    _gauge("kafka_lag_records", "Records of a partition after the last finished micro-batch of the stream.", "topic", "partition"),
)
HDFS = (
    _gauge("hdfs_capacity_bytes", "Room that the DataNodes have."),
    _gauge("hdfs_used_bytes", "Room that HDFS uses."),
    _gauge("hdfs_remaining_bytes", "Room that HDFS may still use."),
    _gauge("hdfs_files", "Files and folders."),
    _gauge("hdfs_blocks", "Blocks."),
    _gauge("hdfs_missing_blocks", "Blocks that no DataNode has."),
    _gauge("hdfs_under_replicated_blocks", "Blocks with fewer replicas than asked for."),
    _gauge("hdfs_live_datanodes", "DataNodes that report."),
)
SPARK = (
    _gauge("spark_workers", "Workers that the Spark master counts as alive."),
    _gauge("spark_cores", "Task slots of the workers."),
    _gauge("spark_used_cores", "Task slots in use."),
    _gauge("spark_applications", "Applications that run, or wait for task slots."),
)
AIRFLOW = (
    _gauge("airflow_component_up", "Whether Airflow calls a component of its own healthy.", "component"),
    _gauge("dag_last_success_timestamp_seconds", "When a DAG's last successful run ended.", "dag"),
    _gauge("dag_last_run_failed", "Whether a DAG's last finished run failed (1), or not (0).", "dag"),
    _gauge("dag_last_run_duration_seconds", "How long a DAG's last finished run took.", "dag"),
)
MACHINE = (
    _gauge("disk_size_bytes", "Size of the file system that holds the runtime folder."),
    _gauge("disk_free_bytes", "Room left on it."),
)

DEFINITIONS: tuple[Definition, ...] = (
    *SERVICES,
    *STREAM,
    *LOAD,
    *BOOKS,
    *ALERTS,
    *WAREHOUSE,
    *LAKE,
    *KAFKA,
    *HDFS,
    *SPARK,
    *AIRFLOW,
    *MACHINE,
)
BY_NAME = {definition.name: definition for definition in DEFINITIONS}


def series(definition: Definition) -> tuple[str, ...]:
    """The names of a family's time series, as a query writes them."""
    return (f"{definition.name}_count", f"{definition.name}_sum") if definition.kind == "summary" else (definition.name,)
