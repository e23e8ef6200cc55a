"""Metrics: what a scrape finds out becomes valid Prometheus text, by its conventions."""

import re
from dataclasses import replace

import pytest

from loglake.alerts.callbacks import DAG_KEY
from loglake.alerts.rules import RULES
from loglake.metrics.definitions import BY_NAME, DEFINITIONS, series
from loglake.metrics.facts import Audit, Loads, Sample, Stream, Warehouse
from loglake.metrics.families import families
from loglake.settings import PROJECT
from tests.metricfacts import FULL, NOW, Given, exposed, value

pytestmark = pytest.mark.unit


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


def test_every_rule_and_the_dags_have_an_alert_that_is_open_or_not() -> None:
    told = {labels: number for (name, labels), number in exposed(Given(FULL)).items() if name == "loglake_alert_open"}

    assert {dict(labels)["rule"]: dict(labels)["severity"] for labels in told} == {
        **{rule.name: rule.severity for rule in RULES},
        DAG_KEY.rstrip(":"): "critical",
    }
    assert {dict(labels)["rule"] for labels, number in told.items() if number} == {"lag", "dag"}
