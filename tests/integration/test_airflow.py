"""Airflow on the real servers: the DAG is listed and runs to its end, a stopped broker is named, a killed scheduler leaves nothing."""

import os
import signal
import time

import psutil
import pytest
import requests

from loglake import batch_steps, clients
from loglake.errors import ServiceError
from loglake.orchestrate import DAG_ID, Airflow, TaskUpdate, run_batch
from stack.airflow import base_url
from tests.stackfixture import EmbeddedStack

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1500)]

EVENTS = 2_000
TASKS = (
    "check_services_group.check_services_health",
    "validate_and_processing_group.validate_postgres_data",
    "validate_and_processing_group.spark_batch_task",
    "dbt_group.dbt_snapshot_task",
    "dbt_group.dbt_run_task",
)


def succeeded(updates: list[TaskUpdate]) -> tuple[str, ...]:
    return tuple(update.task for update in updates if update.state == "success")


def counts() -> tuple[int, int, int]:
    """Loads, rows of raw.log_events, rows of marts.fact_event."""
    query = """select (select count(*) from ops.load_manifest), (select count(*) from raw.log_events),
                      (select count(*) from marts.fact_event)"""
    with clients.postgres("monitor") as connection:
        row = connection.execute(query).fetchone()
    assert row is not None
    return row[0], row[1], row[2]


def wait_until_in_lake(records: int) -> None:
    """Wait until the stream has reported at least this many records."""
    deadline = time.monotonic() + 180
    with clients.postgres("monitor") as connection:
        while True:
            row = connection.execute("select coalesce(sum(rows_read), 0) from ops.stream_progress").fetchone()
            if row and row[0] >= records:
                return
            assert time.monotonic() < deadline, row
            time.sleep(0.5)


def test_a_run_loads_what_is_new_and_the_next_one_changes_nothing(airflow: EmbeddedStack) -> None:
    # given events in the lake
    sent = airflow.cli("generate", "--count", str(EVENTS), "--seed", "7")
    assert sent.returncode == 0, sent.stderr
    wait_until_in_lake(EVENTS)
    # when the DAG runs, it succeeds task by task, in order
    assert succeeded(list(run_batch())) == TASKS
    first = counts()
    assert first[0] >= 1
    assert first[1] > 0
    assert first[2] > 0
    # and when it runs again with nothing new, it succeeds and changes no row
    assert succeeded(list(run_batch())) == TASKS
    assert counts() == first


def test_no_file_of_the_dag_folder_has_an_import_error(airflow: EmbeddedStack) -> None:
    assert Airflow().import_errors() == []


def test_the_api_answers_nobody_without_a_log_in(airflow: EmbeddedStack) -> None:
    url = f"{base_url()}/api/v2/dags/{DAG_ID}"
    assert requests.get(url, timeout=30).status_code == requests.codes.unauthorized
    assert requests.get(url, headers={"Authorization": "Bearer forged"}, timeout=30).status_code == requests.codes.forbidden


def test_a_stopped_broker_fails_the_check_by_name(lake_stream: EmbeddedStack) -> None:
    assert set(batch_steps.check_services()) == {"Postgres", "Spark", "HDFS", "Kafka", "stream"}
    lake_stream.stop("kafka")
    try:
        with pytest.raises(ServiceError, match="Kafka: no broker answers"):
            batch_steps.check_services()
    finally:
        lake_stream.start(("kafka", "lake-stream"))


def test_a_killed_scheduler_comes_back_and_its_workers_are_gone(airflow: EmbeddedStack) -> None:
    # given the scheduler under its guard, with workers
    guard = psutil.Process(airflow.pid("airflow-scheduler"))
    scheduler = guard.children()[0]
    workers = scheduler.children()
    # when the scheduler itself is killed
    os.kill(scheduler.pid, signal.SIGKILL)
    # then it is started again, and nothing of the old one is left
    airflow.wait_healthy("airflow-scheduler", not_pid=guard.pid)
    assert not any(process.is_running() for process in (guard, scheduler, *workers))
