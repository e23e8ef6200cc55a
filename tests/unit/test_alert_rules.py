"""The alert rules: each fires beyond its limit and not at it, says nothing where nothing is known, and tells a cause once."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from loglake.alerts import messages
from loglake.alerts.facts import Facts, Hdfs
from loglake.alerts.rules import RULES, Verdict, judge, to_tell
from loglake.health import Status
from loglake.operation_settings import AlertSettings
from loglake.topic import Waiting
from tests.alertfacts import GIB, LAKE, NOW, WAREHOUSE, WELL

pytestmark = pytest.mark.unit

LIMITS = AlertSettings()


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def with_warehouse(**changes: object) -> Facts:
    return replace(WELL, warehouse=replace(WAREHOUSE, **changes))


def with_lake(**changes: object) -> Facts:
    return replace(WELL, lake=replace(LAKE, **changes))


def state(facts: Facts, key: str, limits: AlertSettings = LIMITS) -> Verdict:
    return next(verdict for verdict in judge(facts, limits) if verdict.key == key)


def test_all_is_well() -> None:
    verdicts = judge(WELL, LIMITS)
    assert {verdict.rule.name for verdict in verdicts} == {rule.name for rule in RULES}
    assert [verdict.key for verdict in verdicts if verdict.state != "ok"] == []


#: (key, facts at the limit, facts beyond it)
EDGES = [
    ("service_down:Kafka", WELL, replace(WELL, services=(Status("Kafka", False, "no broker"),))),
    ("facts_unknown:the lake", WELL, replace(WELL, lake=None, unknown={"lake": "no such table"})),
    ("lake_stale", replace(WELL, kafka=Waiting(9, ago(300))), replace(WELL, kafka=Waiting(9, ago(301)))),
    ("lag", replace(WELL, kafka=Waiting(1_000_000, ago(9))), replace(WELL, kafka=Waiting(1_000_001, ago(9)))),
    ("load_stale", with_lake(unloaded_since=ago(1800)), with_lake(unloaded_since=ago(1801))),
    ("marts_stale", with_warehouse(unbuilt_since=ago(2700)), with_warehouse(unbuilt_since=ago(2701))),
    ("live_stale", with_warehouse(live_seen=ago(120)), with_warehouse(live_seen=ago(121))),
    ("reject_rate", with_warehouse(rejected=50), with_warehouse(rejected=51)),
    ("error_rate", with_warehouse(errors=100), with_warehouse(errors=101)),
    ("latency", with_warehouse(latency_p95=1000.0), with_warehouse(latency_p95=1000.5)),
    ("volume", with_warehouse(last_hour=2000), with_warehouse(last_hour=2001)),
    ("volume", with_warehouse(last_hour=125), with_warehouse(last_hour=124)),
    ("balance", WELL, with_warehouse(findings=("load 3 inserted 2 events, raw.log_events holds 1 of them",))),
    ("balance", WELL, with_lake(findings=("7 rows were read of 8 in the lake's snapshot 5",))),
    ("disk_free", replace(WELL, disk_free_bytes=5 * GIB), replace(WELL, disk_free_bytes=5 * GIB - 1)),
    ("hdfs_capacity", replace(WELL, hdfs=Hdfs(85, 15)), replace(WELL, hdfs=Hdfs(8501, 1499))),
    ("small_files", with_lake(files=10_001), with_lake(files=10_002)),
]


@pytest.mark.parametrize(("key", "at", "beyond"), EDGES)
def test_a_rule_fires_beyond_its_limit_and_not_at_it(key: str, at: Facts, beyond: Facts) -> None:
    assert state(beyond, key).state == "firing"
    quiet = [verdict.state for verdict in judge(at, LIMITS) if verdict.key == key]
    assert quiet == ["ok"]


def test_every_rule_has_its_edge_tested() -> None:
    assert {key.partition(":")[0] for key, *_ in EDGES} == {rule.name for rule in RULES}


def test_thresholds_are_handed_in() -> None:
    facts = replace(WELL, kafka=Waiting(11, ago(1)))
    assert state(facts, "lag", AlertSettings(lag_records=11)).state == "ok"
    assert state(facts, "lag", AlertSettings(lag_records=10)).state == "firing"


@pytest.mark.parametrize(
    ("key", "facts", "detail"),
    [
        ("reject_rate", with_warehouse(arrived=99, rejected=99), "only 99 in the window, 100 are needed to judge"),
        ("error_rate", with_warehouse(events=5, errors=5), "only 5 in the window, 100 are needed to judge"),
        ("latency", with_warehouse(events=5, latency_p95=9e9), "only 5 events in the window, 100 are needed to judge"),
        ("latency", with_warehouse(latency_p95=None), "only 1,000 events in the window, 100 are needed to judge"),
        ("volume", with_warehouse(past_hours=(9, 9)), "2 past days are known, 3 are needed to judge"),
        ("volume", with_warehouse(last_hour=0, past_hours=(50, 90, 70)), "0 records in the last full hour, usually 70: too few to judge"),
        ("small_files", replace(WELL, lake=None), "the stream has not made the table yet"),
        ("hdfs_capacity", replace(WELL, hdfs=Hdfs(0, 0)), "HDFS has no room to speak of yet: no DataNode has reported"),
    ],
)
def test_where_there_is_too_little_to_judge_a_rule_says_so_and_is_content(key: str, facts: Facts, detail: str) -> None:
    assert (state(facts, key).state, state(facts, key).value, state(facts, key).detail) == ("ok", None, detail)


def test_a_source_that_is_silent_leaves_its_rules_unknown_and_the_others_judged() -> None:
    facts = replace(WELL, kafka=None, unknown={"kafka": "no broker answers"}, disk_free_bytes=0)
    verdicts = {verdict.key: verdict for verdict in judge(facts, LIMITS)}
    assert {key for key, verdict in verdicts.items() if verdict.state == "unknown"} == {"lake_stale", "lag"}
    assert verdicts["lag"].detail == "Kafka: no broker answers"
    assert {key for key, verdict in verdicts.items() if verdict.state == "firing"} == {"facts_unknown:Kafka", "disk_free"}


def test_a_silent_source_whose_service_is_known_to_be_down_is_told_by_the_service_alone() -> None:
    facts = replace(WELL, kafka=None, unknown={"kafka": "no broker answers"}, services=(Status("Kafka", False, "no broker answers"),))
    assert [verdict.key for verdict in judge(facts, LIMITS) if verdict.state == "firing"] == ["service_down:Kafka"]


def test_what_another_incident_explains_gets_none_of_its_own_unless_it_has_one() -> None:
    facts = replace(with_lake(unloaded_since=ago(9999)), kafka=Waiting(5_000_000, ago(9999)))
    verdicts = judge(facts, LIMITS)
    assert [verdict.key for verdict in to_tell(verdicts, [])] == ["lake_stale", "load_stale"]
    assert [verdict.key for verdict in to_tell(verdicts, ["dag:loglake_batch"])] == ["lake_stale"]
    assert [verdict.key for verdict in to_tell(verdicts, ["lag"])] == ["lake_stale", "lag", "load_stale"]
    down = judge(replace(facts, services=(Status("stream", False, "silent"),)), LIMITS)
    assert [verdict.key for verdict in to_tell(down, [])] == ["service_down:stream"]


def test_an_alert_says_what_was_found_and_the_limit() -> None:
    alert = messages.alert_of(state(with_warehouse(rejected=51), "reject_rate"))
    assert alert.title == "Many records are rejected"
    assert alert.detail == "51 of 1,000 records that came were rejected (5.1 %) (limit: 5 %)"
    assert alert.anchor == "reject-rate"
