"""Metrics: what a scrape finds out becomes valid Prometheus text, by its conventions, whatever is down."""

import json
import re
import sys
import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from loglake import dictionary
from loglake.alerts.callbacks import DAG_KEY
from loglake.alerts.rules import RULES
from loglake.decode import REASONS
from loglake.errors import ServiceError
from loglake.metrics import audit, auditor, dashboard, sources
from loglake.metrics.collector import SOURCES, Source, StackCollector
from loglake.metrics.definitions import BY_NAME, DEFINITIONS, series
from loglake.metrics.facts import Airflow, Audit, DagRun, Facts, Lake, Loads, Sample, Stream, Table, Warehouse, samples
from loglake.metrics.families import families
from loglake.operation_settings import MetricsSettings
from loglake.setting_groups import PROJECT
from loglake.topic import Bounds

pytestmark = pytest.mark.unit
NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
STREAM = Stream(3, 4.5, 1000, 10, 2.5, {0: 90}, NOW, 7)
WAREHOUSE = Warehouse(
    STREAM, Loads(2, 8.0, 990, 950, 30, 10, 5, NOW), 4096, (Table("raw", "log_events", 950, 2048),), frozenset({"lag", "dag"})
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


def test_a_full_scrape_has_a_sample_of_every_metric() -> None:
    found = {name for name, _ in exposed(Given(FULL))}

    assert found == {name for definition in DEFINITIONS for name in series(definition)}


def test_values_are_those_of_the_facts() -> None:
    given = Given(FULL)

    assert value(given, "loglake_up", service="kafka") == 0
    assert value(given, "loglake_load_rows_total", outcome="duplicate") == 30
    assert value(given, "loglake_stream_batch_duration_seconds_count") == 3
    assert value(given, "loglake_stream_batch_duration_seconds_sum") == 4.5
    assert value(given, "loglake_kafka_records_total", topic="LogEvents", partition="0") == 100
    assert value(given, "loglake_kafka_lag_records", topic="LogEvents", partition="0") == 10
    assert value(given, "loglake_kafka_lag_records", topic="LogEvents", partition="1") == 20
    assert value(given, "loglake_load_last_commit_timestamp_seconds") == NOW.timestamp()
    assert value(given, "loglake_dag_last_run_failed", dag="loglake_batch") == 1
    assert value(given, "loglake_books_balanced") == 1


def test_findings_are_books_that_do_not_balance() -> None:
    given = Given(replace(FULL, audit=Audit(NOW, ("raw: 1 event is there, but …",), {}, {})))

    assert value(given, "loglake_books_balanced") == 0
    assert value(given, "loglake_books_findings") == 1


def test_a_stack_in_which_nothing_has_happened_has_no_time_of_a_last_event() -> None:
    stream = Stream(0, 0.0, 0, 0, None, {}, None, None)
    given = Given(replace(FULL, warehouse=Warehouse(stream, Loads(0, 0.0, 0, 0, 0, 0, 0, None), 1, ()), lake=None, audit=None))

    names = {name for name, _ in exposed(given)}

    assert "loglake_stream_records_total" in names
    assert not names & {
        "loglake_load_last_commit_timestamp_seconds",
        "loglake_stream_heartbeat_timestamp_seconds",
        "loglake_books_balanced",
    }


def test_a_sample_of_no_definition_is_a_mistake() -> None:
    with pytest.raises(KeyError, match="loglake_typo"):
        families([Sample("loglake_typo", 1)])


def test_names_follow_the_conventions() -> None:
    units = ("_seconds", "_bytes", "_rows", "_records", "_files", "_blocks", "_cores")
    for definition in DEFINITIONS:
        name = definition.name
        assert re.fullmatch(r"loglake(_[a-z]+)+", name), name
        assert name.endswith("_total") == (definition.kind == "counter"), name
        assert not re.search(r"_(ms|milliseconds|minutes|hours|mib|gib|kb|percent|count|sum|bucket)$", name), name
        assert not ("duration" in name or "timestamp" in name) or name.endswith("_seconds"), name
        assert not re.search("size|capacity|used$|remaining|free", name.removesuffix("_bytes")) or name.endswith(units), name
        assert definition.help.endswith("."), name
        assert set(definition.labels).isdisjoint({"job", "instance", "le", "quantile"}), name
    assert len(BY_NAME) == len(DEFINITIONS)


def test_the_guide_names_every_metric() -> None:
    guide = (PROJECT / "docs" / "metrics.md").read_text()

    assert [definition.name for definition in DEFINITIONS if f"`{definition.name}`" not in guide] == []


def test_reasons_outside_the_decoder_share_one_label() -> None:
    counted = audit.by_code({"not_json": 3, "typed by hand": 2, "another": 1})

    assert counted.keys() == {*REASONS, "other"}
    assert (counted["not_json"], counted["other"], counted["too_large"]) == (3, 3, 0)


def test_an_audit_is_read_as_it_is_written() -> None:
    text = json.dumps({"checked_at": NOW.timestamp(), "findings": ["raw: …"], "rows": {"lake": 1}, "rejects": {"empty": 0}})

    assert auditor.read(text) == Audit(NOW, ("raw: …",), {"lake": 1}, {"empty": 0})


def snapshot(number: int, rows: int) -> dict[str, Any]:
    summary = {"total-records": str(rows), "total-data-files": "2", "total-files-size": "300"}
    return {"snapshot-id": number, "timestamp-ms": int(NOW.timestamp() * 1000), "summary": summary}


@pytest.mark.parametrize(("loaded_to", "backlog"), [(None, 150), (1, 50), (2, 0), (99, None)])
def test_the_backlog_is_what_came_after_the_loaded_snapshot(loaded_to: int | None, backlog: int | None) -> None:
    document = {"current-snapshot-id": 2, "snapshots": [snapshot(1, 100), snapshot(2, 150)]}

    assert sources.lake_facts(document, loaded_to) == Lake(150, 2, 300, 2, NOW, backlog)


def test_a_table_without_a_snapshot_has_no_rows_to_tell() -> None:
    assert sources.lake_facts({"current-snapshot-id": -1, "snapshots": []}, None) is None


def collector(sources_: Mapping[str, Source], **settings: float) -> StackCollector:
    return StackCollector(MetricsSettings(cache_seconds=0, **settings), lambda: None, sources_)  # type: ignore[arg-type]


def refuse() -> None:
    raise ServiceError("refused")


def test_what_is_down_is_0_and_the_others_are_told() -> None:
    made = collector({"postgres": refuse, "kafka": lambda: {0: Bounds(0, 5)}, "hdfs": lambda: (HDFS, False), "disk": lambda: DISK})

    assert {service: value(made, "loglake_up", service=service) for service in ("postgres", "kafka", "hdfs", "spark", "stream")} == {
        "postgres": 0,
        "kafka": 1,
        "hdfs": 0,
        "spark": 0,
        "stream": 0,
    }
    assert value(made, "loglake_hdfs_files") == 1
    assert value(made, "loglake_kafka_records_total", topic="LogEvents", partition="0") == 5


def test_a_source_that_hangs_delays_a_scrape_by_no_more_than_the_setting_and_holds_one_thread() -> None:
    release = threading.Event()
    asked: list[int] = []

    def hang() -> dict[int, Bounds]:
        asked.append(1)
        release.wait(30)
        return {0: Bounds(0, 1)}

    made = collector({"kafka": hang, "disk": lambda: DISK}, timeout_seconds=0.1)
    try:
        assert [value(made, "loglake_up", service="kafka") for _ in range(3)] == [0, 0, 0]
        assert value(made, "loglake_disk_free_bytes") == 1
        assert len(asked) == 1
    finally:
        release.set()


def test_scrapes_soon_after_each_other_share_an_answer() -> None:
    asked: list[int] = []

    def count() -> dict[str, float]:
        asked.append(1)
        return DISK

    made = StackCollector(MetricsSettings(cache_seconds=60), lambda: None, {"disk": count})
    assert [value(made, "loglake_disk_free_bytes") for _ in range(3)] == [1, 1, 1]

    assert len(asked) == 1


def test_a_fault_of_the_program_in_one_source_costs_its_metrics_alone_and_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    def fault() -> dict[int, Bounds]:
        return {0: Bounds(0, 1) + None}  # type: ignore[operator]

    made = collector({"kafka": fault, "disk": lambda: DISK})

    assert [value(made, "loglake_up", service="kafka") for _ in range(3)] == [0, 0, 0]
    assert value(made, "loglake_disk_free_bytes") == 1
    (told,) = [record for record in caplog.records if record.exc_info]
    assert (told.levelname, told.exc_info[0]) == ("ERROR", TypeError)  # type: ignore[index]


def test_a_check_of_the_books_that_fails_in_any_way_leaves_the_last_and_is_told(caplog: pytest.LogCaptureFixture) -> None:
    good = json.dumps({"checked_at": NOW.timestamp(), "findings": [], "rows": {}, "rejects": {}})
    ways = {
        "No such file": ("/no/such/program",),
        "Expecting value": (sys.executable, "-c", "print('no JSON')"),
        "the answer has no 'checked_at'": (sys.executable, "-c", "print('{}')"),
        "list indices": (sys.executable, "-c", "print('[]')"),
        "no server": (sys.executable, "-c", "exit('no server')"),
    }
    for said, command in ways.items():
        checked = auditor.Auditor(300, command)
        checked.last = Audit(NOW, ("before",), {}, {})
        checked.check()
        assert checked.last.findings == ("before",)
        assert said in caplog.messages[-1]

    checked = auditor.Auditor(300, (sys.executable, "-c", f"print({good!r})"))
    checked.check()
    assert checked.last == Audit(NOW, (), {}, {})


def test_registering_asks_no_server() -> None:
    registry = CollectorRegistry(auto_describe=True)

    registry.register(collector(dict.fromkeys(SOURCES, refuse)))

    assert set(registry._names_to_collectors) >= {definition.name for definition in DEFINITIONS}


def metric_names(expression: str) -> set[str]:
    """The metrics of an expression, without the values of labels."""
    return set(re.findall(r"\b(?:loglake|process)_[a-z_]+|\bup\b", re.sub('"[^"]*"', "", expression)))


EXPORTED = {name for definition in DEFINITIONS for name in series(definition)} | {"process_resident_memory_bytes", "up"}


def test_the_dashboard_asks_for_exported_metrics_only() -> None:
    for expression in dashboard.expressions():
        assert metric_names(expression), expression
        assert metric_names(expression) <= EXPORTED, expression


def test_prometheus_passes_on_our_alerts_and_watches_only_those_who_judge() -> None:
    rules = yaml.safe_load((PROJECT / "monitoring" / "prometheus" / "alerts.yml").read_text())["groups"][0]["rules"]

    assert {rule["alert"]: metric_names(rule["expr"]) for rule in rules} == {
        "LoglakeAlertOpen": {"loglake_alert_open"},
        "LoglakeEndPointDown": {"up"},
        "LoglakeAlertsNotJudged": {"loglake_dag_last_success_timestamp_seconds"},
        "LoglakeBooksNotBalanced": {"loglake_books_balanced"},
        "LoglakeBooksNotChecked": {"loglake_books_checked_timestamp_seconds"},
    }
    assert {name for rule in rules for name in metric_names(rule["expr"])} <= EXPORTED
    assert [rule["expr"] for rule in rules if rule["alert"] == "LoglakeAlertOpen"] == ["loglake_alert_open == 1"]
    assert {dag for rule in rules for dag in re.findall(r'dag="([^"]*)"', rule["expr"])} <= dags()


def test_every_rule_and_the_dags_have_an_alert_that_is_open_or_not() -> None:
    told = {labels: number for (name, labels), number in exposed(Given(FULL)).items() if name == "loglake_alert_open"}

    assert {dict(labels)["rule"]: dict(labels)["severity"] for labels in told} == {
        **{rule.name: rule.severity for rule in RULES},
        DAG_KEY.rstrip(":"): "critical",
    }
    assert {dict(labels)["rule"] for labels, number in told.items() if number} == {"lag", "dag"}


def dags() -> set[str]:
    return {path.stem for path in (PROJECT / "dags").glob("loglake_*.py")}


def test_the_scrape_example_has_the_default_port() -> None:
    config = yaml.safe_load((PROJECT / "monitoring" / "prometheus" / "prometheus.yml").read_text())

    assert config["scrape_configs"][0]["static_configs"][0]["targets"] == [f"127.0.0.1:{MetricsSettings().port}"]


def test_the_dashboard_is_one_that_grafana_takes() -> None:
    document = json.loads(dictionary.pages()[PROJECT / "monitoring" / "grafana" / "loglake.json"])
    panels = document["panels"]

    assert len({panel["id"] for panel in panels}) == len(panels)
    assert document["templating"]["list"][0]["type"] == "datasource"
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert place["x"] + place["w"] <= 24
        assert not taken & cells, panel["title"]
        taken |= cells
        if panel["type"] != "row":
            assert panel["fieldConfig"]["defaults"]["unit"]
            assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"]) > 0
