"""Facts of a full scrape of the metrics, and what Prometheus would read of a collector."""

import re
from datetime import UTC, datetime
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from loglake.metrics.definitions import BY_NAME
from loglake.metrics.facts import Airflow, Audit, DagRun, Facts, Lake, Loads, Stream, Table, Warehouse, samples
from loglake.metrics.families import families
from loglake.topic import Bounds

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
STREAM = Stream(3, 4.5, 1000, 10, 2.5, {0: 90}, NOW, 7)
WAREHOUSE = Warehouse(
    STREAM, Loads(2, 8.0, 990, 950, 30, 10, 5, NOW), 4096, (Table("raw", "log_events", 950, 2048),), frozenset({"lag", "dag"}), NOW
)
AIRFLOW = Airflow({"scheduler": True}, (DagRun("loglake_batch", 40.0, True, NOW),))
HDFS = {name: 1.0 for name in BY_NAME if name.startswith("loglake_hdfs_")}
SPARK = {name: 1.0 for name in BY_NAME if name.startswith("loglake_spark_")}
DISK = {name: 1.0 for name in BY_NAME if name.startswith("loglake_disk_")}
FULL = Facts(
    version="0.1.0",
    topic="LogEvents",
    up={"postgres": True, "kafka": False},
    seconds={"postgres": 0.01},
    warehouse=WAREHOUSE,
    kafka={0: Bounds(5, 100), 1: Bounds(0, 20)},
    lake=Lake(1000, 4, 5000, 9, NOW, 10),
    hdfs=HDFS,
    spark=SPARK,
    airflow=AIRFLOW,
    disk=DISK,
    audit=Audit(NOW, (), {"lake": 1000}, {"not_json": 10}),
)


class Given:
    """A collector's families as the registry wants them."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts

    def collect(self) -> Any:
        return families(samples(self._facts))


def exposed(source: Any) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """What Prometheus would read: (series, labels) → value."""
    registry = CollectorRegistry()
    registry.register(source)
    text = generate_latest(registry).decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(source: Any, name: str, **labels: str) -> float | None:
    return exposed(source).get((name, tuple(sorted(labels.items()))))


def metric_names(expression: str) -> set[str]:
    """The metrics of an expression, without the values of labels."""
    return set(re.findall(r"\b(?:loglake|process)_[a-z_]+|\bup\b", re.sub('"[^"]*"', "", expression)))
