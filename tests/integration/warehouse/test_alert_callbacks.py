"""What Airflow's callbacks and the rounds of the alert DAG make of failing and of good runs, up to the message that arrives."""

import time
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from loglake.alerts import callbacks, digest, store
from loglake.alerts.deliver import deliver
from loglake.errors import BadInputError, ServiceError
from loglake.health import ServicesDownError
from loglake.settings import settings
from tests.alertfacts import NOW
from tests.alertrounds import DOWN, UP, see, states
from tests.alertservers import Endpoint, Mailbox

pytestmark = pytest.mark.integration


class Task:
    """What a callback reads of Airflow's task instance."""

    dag_id, task_id, try_number, max_tries = "loglake_batch", "validate_and_processing_group.spark_batch_task", 4, 3
    log_url = "http://127.0.0.1:8082/dags/loglake_batch/runs/r/tasks/t?try_number=4"
    run_id = "r"


def test_a_failing_task_is_told_once_with_what_to_do_and_its_dags_success_ends_it(outbox: psycopg.Connection, slack: Endpoint) -> None:
    dag = type("Dag", (), {"dag_id": "loglake_batch"})
    failed = {"ti": Task, "exception": ServiceError("the load ended with exit code 1: no room\nTraceback")}
    for _ in range(2):
        callbacks.task_failed(failed)
        callbacks.dag_failed({"dag": dag, "run_id": "r", "reason": "task_failure"})
    callbacks.dag_succeeded({"dag": dag, "run_id": "s"})
    deliver(outbox)
    told = slack.texts
    assert told[0] == (
        "*PROBLEM: loglake_batch failed in spark_batch_task*\nTry 4 of 4: the load ended with exit code 1: no room\n"
        f"Log: {Task.log_url}\nNo run has succeeded yet.\n"
        "What to do: `loglake load` runs it again, at any time: nothing is half done. Runbook: docs/alerts.md#load-failed"
    )
    assert [text.partition("\n")[0] for text in told[1:]] == ["*OK AGAIN: loglake_batch failed in spark_batch_task*"]
    # the next failure knows the last good run
    callbacks.task_failed(failed)
    deliver(outbox)
    assert f"Last good run: {datetime.now(UTC):%Y-%m-%d}" in slack.texts[2]


def test_a_dags_incident_that_came_back_ends_without_another_run(outbox: psycopg.Connection, slack: Endpoint) -> None:
    dag = type("Dag", (), {"dag_id": "loglake_batch"})
    for run in ("r", "s"):
        callbacks.task_failed({"ti": Task, "exception": ServiceError("no room")})
        callbacks.dag_succeeded({"dag": dag, "run_id": run})
    # it came back, so the second good run alone does not end it: time does, and nothing else runs
    assert [incident.alert.key for incident in store.open_incidents(outbox)] == ["dag:loglake_batch"]
    since = (datetime.now(UTC) - NOW) / timedelta(minutes=1)
    see(outbox, since + 1)
    assert store.open_incidents(outbox) != []
    told = see(outbox, since + 60)
    assert [text.subject for text in told] == ["OK AGAIN: loglake_batch failed in spark_batch_task"]


def test_a_run_that_was_asked_for_what_cannot_be_is_nobodys_incident(outbox: psycopg.Connection, slack: Endpoint) -> None:
    refused = RuntimeError("load = range needs from and to")
    refused.__cause__ = BadInputError("load = range needs from and to")
    dag = type("Dag", (), {"dag_id": "loglake_batch"})

    callbacks.task_failed({"ti": Task, "exception": refused})
    callbacks.dag_failed({"dag": dag, "run_id": Task.run_id, "reason": "task_failure"})

    assert store.open_incidents(outbox) == []
    assert digest.read_day(outbox, datetime.now(UTC)).runs == []


def test_old_messages_are_not_sent_and_in_the_end_forgotten(
    outbox: psycopg.Connection, slack: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loglake.alerts.deliver.OLDEST", timedelta(days=1))
    now = datetime.now(UTC)
    callbacks.task_failed({"ti": Task, "exception": ServiceError("no room")})
    callbacks.dag_succeeded({"dag": type("Dag", (), {"dag_id": "loglake_batch"}), "run_id": "r"})
    outbox.execute("update ops.outbox set created_at = created_at - interval '25 hours'")
    assert deliver(outbox).sent == 0
    assert slack.texts == []
    assert set(states(outbox)) == {"slack: given up (too old)"}

    store.forget_old(outbox, now + timedelta(days=store.KEPT_DAYS - 2))
    assert len(states(outbox)) == 2
    store.forget_old(outbox, now + timedelta(days=store.KEPT_DAYS + 1))
    left = [outbox.execute(f"select count(*) from ops.{name}").fetchone() for name in ("outbox", "outbox_delivery", "incident", "dag_run")]
    assert left == [(0,)] * 4


def test_the_alert_dags_good_rounds_are_one_row_and_not_in_the_digest(outbox: psycopg.Connection) -> None:
    for minute in range(3):
        see(outbox, minute, UP)
    assert outbox.execute("select dag_id, state from ops.dag_run").fetchall() == [("loglake_alerts", "success")]
    assert digest.read_day(outbox, NOW + timedelta(minutes=3)).runs == []


def test_a_run_that_found_services_down_is_told_by_the_services(outbox: psycopg.Connection, slack: Endpoint, mail: Mailbox) -> None:
    callbacks.task_failed({"ti": Task, "exception": ServicesDownError([DOWN])})
    callbacks.dag_failed({"dag": type("Dag", (), {"dag_id": "loglake_batch"}), "run_id": "r", "reason": "task_failure"})
    deliver(outbox)
    assert [text.partition("\n")[0] for text in slack.texts] == ["*PROBLEM: Service down: Kafka*"]
    assert [letter["Subject"] for letter in mail.messages] == ["[loglake] PROBLEM: Service down: Kafka"]


def test_a_run_that_fails_without_a_task_that_says_why_is_told_by_the_dag(outbox: psycopg.Connection, slack: Endpoint) -> None:
    callbacks.dag_failed({"dag": type("Dag", (), {"dag_id": "loglake_batch"}), "run_id": "manual__1+00:00", "reason": "timed_out"})
    deliver(outbox)
    assert slack.texts[0].startswith(
        "*PROBLEM: loglake_batch failed*\nAirflow's reason: timed_out\n"
        f"Run: http://127.0.0.1:{settings().airflow.port}/dags/loglake_batch/runs/manual__1%2B00%3A00\n"
    )


def test_a_callback_never_raises(outbox: psycopg.Connection, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("LOGLAKE_POSTGRES_PORT", "1")
    settings.cache_clear()
    began = time.monotonic()
    callbacks.task_failed({"ti": Task, "exception": ValueError("x")})
    callbacks.dag_succeeded({"dag": type("Dag", (), {"dag_id": "d"}), "run_id": "r"})
    assert time.monotonic() - began < 5
    assert "nobody will be told of this, as the warehouse cannot be written" in caplog.text
