"""Each alert whose cause lies in Postgres, fired by that cause: real rows, real loads, real deletes."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from consumers import progress
from loglake import clients
from loglake.alerts import digest, gather
from loglake.alerts.facts import Facts
from loglake.alerts.rules import Verdict, judge
from loglake.operation_settings import AlertSettings
from tests.alertfacts import WELL
from tests.sample import event
from tests.stackfixture import EmbeddedStack
from tests.warehouserows import copied_warehouse, deliver, empty_warehouse

pytestmark = pytest.mark.integration


@pytest.fixture
def empty(postgres: EmbeddedStack) -> Iterator[str]:
    """A warehouse without a row."""
    assert postgres.runtime.exists()
    with empty_warehouse("alert_causes") as name:
        yield name


@pytest.fixture
def built(sold: str) -> Iterator[str]:
    """A warehouse of one load that is in the marts."""
    with copied_warehouse("alert_built", sold) as name:
        yield name


def verdicts(database: str, **limits: float) -> dict[str, Verdict]:
    now = datetime.now(UTC)
    facts: Facts = replace(WELL, now=now, warehouse=gather.ask_warehouse(now, database))
    return {verdict.key: verdict for verdict in judge(facts, AlertSettings(**limits))}


def firing(database: str, **limits: float) -> list[str]:
    return [key for key, verdict in verdicts(database, **limits).items() if verdict.state == "firing"]


def execute(database: str, statement: str, *values: Any) -> None:
    with clients.postgres("postgres", database) as connection:
        connection.execute(statement, values)  # type: ignore[call-overload]


def reported(database: str, batch: int, rows: int, rejected: int) -> None:
    """A micro-batch as Spark reports it to the stream's listener."""
    source = {"startOffset": {"LogEvents": {"0": 0}}, "endOffset": {"LogEvents": {"0": rows}}, "latestOffset": {"LogEvents": {"0": rows}}}
    told = {
        "id": "q",
        "runId": "r",
        "batchId": batch,
        "sources": [source],
        "durationMs": {"triggerExecution": 900},
        "observedMetrics": {progress.OBSERVED: {"rows_read": rows, "rows_rejected": rejected, "event_delay_seconds": 1.0}},
    }
    with clients.postgres("loader", database) as connection:
        progress.write_report(connection, "lake", progress.batch_report(told))


def test_an_empty_warehouse_fires_nothing(empty: str) -> None:
    assert firing(empty) == []


def test_rejected_records_fire_the_reject_rate(empty: str) -> None:
    reported(empty, 1, rows=1000, rejected=40)
    assert firing(empty) == []
    reported(empty, 2, rows=1000, rejected=80)
    assert firing(empty) == ["reject_rate"]
    assert verdicts(empty)["reject_rate"].detail == "120 of 2,000 records that came were rejected (6.0 %)"


def test_errors_and_slow_answers_of_the_last_hour_fire_their_rules_and_old_ones_do_not(empty: str) -> None:
    now = datetime.now(UTC)
    old = [event(number, event_ts=now - timedelta(hours=2), event_type="error", latency_ms=9000) for number in range(200)]
    well = [event(number, event_ts=now, latency_ms=30) for number in range(300, 400)]
    deliver(empty, 1, [*old, *well])
    assert set(firing(empty)) <= {"marts_stale"}
    late = [event(number, event_ts=now, event_type="error", latency_ms=9000) for number in range(400, 410)]
    failed = [event(number, event_ts=now, status_code=503, latency_ms=9000) for number in range(410, 420)]
    deliver(empty, 2, [*late, *failed])
    assert {"error_rate", "latency"} <= set(firing(empty))
    assert verdicts(empty)["error_rate"].detail == "20 of 120 events are errors (16.7 %)"
    assert verdicts(empty)["latency"].value == 9000


def test_a_load_that_dbt_has_not_built_makes_the_marts_stale(built: str) -> None:
    assert firing(built, marts_stale_seconds=0.001) == []
    deliver(built, 2, [event(77)])
    assert firing(built, marts_stale_seconds=0.001) == ["marts_stale"]
    assert firing(built) == []


@pytest.mark.parametrize(
    ("damage", "finding"),
    [
        (
            "delete from raw.log_events where event_id = (select event_id from raw.log_events order by event_id limit 1)",
            "load 1 inserted 10 events, raw.log_events holds 9 of them",
        ),
        (
            "insert into raw.rejected_events values ('t', 0, 1, now(), now(), 'empty', '', 1)",
            "load 1 rejected 0 records, raw.rejected_events holds 1 of them",
        ),
        ("update ops.load_manifest set load_id = 3 where load_id = 2", "load 3 does not follow on from the load before"),
        ("update ops.load_manifest set snapshot_from = 99 where load_id = 2", "load 2 does not follow on from the load before"),
    ],
    ids=["an event is gone", "a reject too many", "a manifest is gone", "a gap in the history"],
)
def test_changed_rows_break_the_balance(built: str, damage: str, finding: str) -> None:
    deliver(built, 2, [])
    assert firing(built) == []
    execute(built, damage)
    assert firing(built) == ["balance"]
    assert verdicts(built)["balance"].detail == finding


def test_an_hour_unlike_the_same_hour_of_past_days_is_unusual(empty: str) -> None:
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(minutes=30)
    for days, rows in ((0, 900), (1, 220), (2, 200), (3, 100), (4, 210), (5, 1)):
        reported(empty, days, rows, rejected=0)
        execute(empty, "update ops.stream_progress set finished_at = %s where batch_id = %s", hour - timedelta(days=days), days)
    assert verdicts(empty)["volume"].detail == "900 records in the last full hour, usually 205 (median of that hour on 4 past days)"
    assert firing(empty) == ["volume"]
    assert firing(empty, volume_factor=5) == []
    execute(empty, "delete from ops.stream_progress where batch_id = 0")
    assert verdicts(empty)["volume"].value == 205


def test_postgres_that_does_not_answer_makes_its_rules_unknown(empty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    value, problem = gather.answer(lambda: gather.ask_warehouse(datetime.now(UTC), "no_such_database"))
    assert value is None
    judged = judge(replace(WELL, warehouse=None, unknown={"warehouse": problem}), AlertSettings())
    unknown = {verdict.key for verdict in judged if verdict.state == "unknown"}
    assert unknown == {"marts_stale", "live_stale", "reject_rate", "error_rate", "latency", "volume", "balance"}
    assert 'database "no_such_database" does not exist' in problem


def test_the_digest_says_what_the_day_did(built: str) -> None:
    now = datetime.now(UTC)
    deliver(built, 2, [event(78), event(78)], rejected=3)
    with clients.postgres("loader", built) as connection:
        connection.execute(
            "insert into ops.dag_run values ('loglake_batch', 'a', 'success', now()), ('loglake_batch', 'b', 'failed', now())"
        )
        day = digest.read_day(connection, now)
    text = digest.word(day, list(verdicts(built).values()), "balanced, 11 events", now)
    lines = text.body.splitlines()
    assert text.subject == f"DIGEST: the day until {now:%Y-%m-%d %H:%M} UTC"
    assert lines[0] == "Loads: 2, 15 rows read = 11 inserted + 1 duplicate + 3 rejected"
    assert lines[1] == "Runs of loglake_batch: 1 of 2 succeeded"
    assert lines[2] == "Incidents: 0 opened, 0 over, 0 open"
    assert lines[3] == "Fresh: no record waits"
    assert lines[-1] == "Books: balanced, 11 events"
