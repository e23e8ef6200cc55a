"""The files of `monitoring/`: Grafana's dashboard and Prometheus's alerts ask for metrics that are exported."""

import json
import re

import pytest
import yaml

from loglake import dictionary
from loglake.metrics import dashboard
from loglake.metrics.definitions import DEFINITIONS, series
from loglake.operation_settings import MetricsSettings
from loglake.settings import PROJECT
from tests.metricfacts import metric_names

pytestmark = pytest.mark.unit
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
