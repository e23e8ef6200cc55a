"""The Grafana dashboard over these metrics, as JSON to import; `loglake contract --write` writes it to `monitoring/grafana/`.

Rows from the top: is all well, then the data's way from Kafka to the warehouse, then what it runs on.
"""

import json
from dataclasses import dataclass
from typing import Any

_SOURCE = {"type": "prometheus", "uid": "${source}"}
_HEIGHT, _STAT_HEIGHT = 7, 4
_OK: list[dict[str, Any]] = [{"color": "red", "value": None}, {"color": "green", "value": 1}]
_BAD: list[dict[str, Any]] = [{"color": "green", "value": None}, {"color": "red", "value": 1}]
_NEUTRAL: list[dict[str, Any]] = [{"color": "blue", "value": None}]


@dataclass(frozen=True)
class Query:
    """A PromQL expression and the legend of its series."""

    expression: str
    legend: str = ""


@dataclass(frozen=True)
class Panel:
    """A panel of one kind of Grafana's (`timeseries`, `stat`), `unit` by Grafana's ids."""

    title: str
    unit: str
    queries: tuple[Query, ...]
    kind: str = "timeseries"
    steps: tuple[dict[str, Any], ...] = ()


def _lines(title: str, unit: str, *queries: tuple[str, str]) -> Panel:
    return Panel(title, unit, tuple(Query(*query) for query in queries))


def _stat(title: str, unit: str, expression: str, steps: list[dict[str, Any]] = _NEUTRAL) -> Panel:
    return Panel(title, unit, (Query(expression),), "stat", tuple(steps))


def _mean(summary: str, window: str) -> str:
    return f"rate({summary}_sum[{window}]) / rate({summary}_count[{window}])"


ROWS: dict[str, tuple[Panel, ...]] = {
    "Is all well?": (
        _stat("Open alerts", "short", "sum(loglake_alert_open)", _BAD),
        _stat("Alerts judged", "dateTimeFromNow", 'loglake_dag_last_success_timestamp_seconds{dag="loglake_alerts"} * 1000'),
        _stat("Services up", "percentunit", "avg(loglake_up)", _OK),
        _stat("Books balanced", "bool_yes_no", "loglake_books_balanced", _OK),
        _stat("Books checked", "dateTimeFromNow", "loglake_books_checked_timestamp_seconds * 1000"),
        _stat("Last load", "dateTimeFromNow", "loglake_load_last_commit_timestamp_seconds * 1000"),
        _stat("Stream heartbeat", "s", "time() - loglake_stream_heartbeat_timestamp_seconds"),
        _stat("DAGs that failed last", "short", "sum(loglake_dag_last_run_failed)", _BAD),
    ),
    "Kafka to lake": (
        _lines(
            "Records per second",
            "reqps",
            ("sum(rate(loglake_kafka_records_total[5m]))", "into Kafka"),
            ("rate(loglake_stream_records_total[5m])", "into the lake"),
            ("rate(loglake_stream_rejected_records_total[5m])", "of these rejected"),
        ),
        _lines(
            "Lag",
            "short",
            ("loglake_kafka_lag_records", "partition {{partition}}"),
            ("loglake_stream_lag_records", "by the stream's last report"),
        ),
        _lines(
            "Micro-batch",
            "s",
            (
                _mean("loglake_stream_batch_duration_seconds", "5m"),
                "mean duration",
            ),
            ("loglake_stream_event_delay_seconds", "event to lake, median"),
        ),
        _lines("Lake rows", "short", ("loglake_lake_rows", "rows"), ("loglake_load_backlog_rows", "not loaded yet")),
        _lines("Lake files and snapshots", "short", ("loglake_lake_files", "data files"), ("loglake_lake_snapshots", "snapshots")),
        _lines(
            "Lake size",
            "bytes",
            ("loglake_lake_size_bytes", "data files"),
            ("loglake_lake_size_bytes / (loglake_lake_files > 0)", "mean file"),
        ),
    ),
    "Lake to warehouse": (
        _lines(
            "Loaded rows per second",
            "reqps",
            ("rate(loglake_load_rows_total[30m])", "{{outcome}}"),
            ("rate(loglake_load_read_rows_total[30m])", "read"),
        ),
        _lines(
            "Loads",
            "s",
            (_mean("loglake_load_duration_seconds", "1h"), "mean duration"),
            ("loglake_dag_last_run_duration_seconds", "last run of {{dag}}"),
        ),
        _lines("Files per load", "short", ("rate(loglake_load_files_total[1h]) / rate(loglake_load_duration_seconds_count[1h])", "files")),
        _lines("Rows at the last check of the books", "short", ("loglake_books_rows", "{{stage}}")),
        _lines("Rejected rows by reason", "short", ("loglake_rejected_rows > 0", "{{reason}}")),
        _lines(
            "Findings, and time since the last successful run",
            "s",
            ("loglake_books_findings", "findings"),
            ("time() - loglake_dag_last_success_timestamp_seconds", "{{dag}}"),
        ),
    ),
    "What it runs on": (
        _lines("Open alerts by rule", "short", ("loglake_alert_open == 1", "{{rule}}")),
        _lines("Up", "short", ("loglake_up", "{{service}}"), ("loglake_airflow_component_up", "airflow {{component}}")),
        _lines(
            "HDFS",
            "bytes",
            ("loglake_hdfs_used_bytes", "used"),
            ("loglake_hdfs_remaining_bytes", "remaining"),
            ("loglake_disk_free_bytes", "free on the runtime folder's disk"),
        ),
        _lines(
            "HDFS health",
            "short",
            ("loglake_hdfs_missing_blocks", "missing blocks"),
            ("loglake_hdfs_under_replicated_blocks", "under-replicated blocks"),
            ("loglake_hdfs_live_datanodes", "live DataNodes"),
        ),
        _lines("HDFS files", "short", ("loglake_hdfs_files", "files and folders"), ("loglake_hdfs_blocks", "blocks")),
        _lines(
            "Warehouse", "bytes", ("loglake_warehouse_size_bytes", "database"), ("topk(5, loglake_warehouse_table_size_bytes)", "{{table}}")
        ),
        _lines(
            "Spark",
            "short",
            ("loglake_spark_used_cores", "task slots in use"),
            ("loglake_spark_cores", "task slots"),
            ("loglake_spark_applications", "applications"),
        ),
        _lines("How long each source took to answer", "s", ("loglake_scrape_source_duration_seconds", "{{source}}")),
        _lines("Memory of the end point", "bytes", ("process_resident_memory_bytes", "resident")),
    ),
}


def expressions() -> list[str]:
    """Every expression of the dashboard."""
    return [query.expression for panels in ROWS.values() for panel in panels for query in panel.queries]


def render() -> str:
    """The dashboard's JSON. It asks for its data source when it is imported, so it holds no address."""
    panels: list[dict[str, Any]] = []
    top = 0
    for title, members in ROWS.items():
        row = {"type": "row", "title": title, "collapsed": False, "panels": [], "gridPos": _at(24, 1, 0, top)}
        panels.append({"id": len(panels) + 1, **row})
        top += 1
        across = 4 if members[0].kind == "stat" else 3
        height = _STAT_HEIGHT if members[0].kind == "stat" else _HEIGHT
        for number, panel in enumerate(members):
            place = _at(24 // across, height, number % across * (24 // across), top + number // across * height)
            panels.append({"id": len(panels) + 1, **_panel(panel), "gridPos": place})
        top += -(-len(members) // across) * height
    return json.dumps(_document(panels), indent=2) + "\n"


def _at(width: int, height: int, left: int, top: int) -> dict[str, int]:
    return {"w": width, "h": height, "x": left, "y": top}


def _panel(panel: Panel) -> dict[str, Any]:
    defaults: dict[str, Any] = {"unit": panel.unit}
    if panel.kind == "stat":
        defaults["thresholds"] = {"mode": "absolute", "steps": list(panel.steps)}
    targets = [
        {"refId": chr(ord("A") + number), "datasource": _SOURCE, "expr": query.expression, "legendFormat": query.legend or "__auto"}
        for number, query in enumerate(panel.queries)
    ]
    return {
        "type": panel.kind,
        "title": panel.title,
        "datasource": _SOURCE,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "targets": targets,
    }


def _document(panels: list[dict[str, Any]]) -> dict[str, Any]:
    source = {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
    return {
        "uid": "loglake",
        "title": "loglake",
        "description": "Kafka to lake to warehouse. Generated from loglake/metrics/dashboard.py by `loglake contract --write`.",
        "tags": ["loglake"],
        "timezone": "utc",
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [source]},
        "panels": panels,
    }
