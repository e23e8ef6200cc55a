"""Airflow on the real servers: the DAG is listed and runs to its end, a stopped broker is named, a killed scheduler leaves nothing."""

import os
import signal
from pathlib import Path

import psutil
import pytest
import requests

from loglake import batch_steps
from loglake.errors import ServiceError
from loglake.orchestrate import DAG_ID, Airflow, TaskUpdate
from stack.airflow import base_url
from tests import pipeline
from tests.stackfixture import EmbeddedStack

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1500)]

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
    tables = ("ops.load_manifest", "raw.log_events", "marts.fact_event")
    loads, events, facts = (pipeline.scalar(f"select count(*) from {table}") for table in tables)
    return loads, events, facts


def test_a_run_loads_what_is_new_and_the_next_one_changes_nothing(airflow: EmbeddedStack, tmp_path: Path) -> None:
    # given events in the lake, and everything before them loaded
    pipeline.wait_in_lake(airflow)
    pipeline.load(airflow)
    before = pipeline.books(airflow)
    truth = pipeline.generate(airflow, tmp_path / "ledger", "--count", "2000", "--seed", "7")
    pipeline.wait_in_lake(airflow)
    # when the DAG runs, it succeeds task by task, in order, and every event is in the marts
    assert succeeded(pipeline.run_dag(airflow)) == TASKS
    events = before["raw_events"] + truth.events
    after = (before["loaded"]["loads"] + 1, events, events)
    assert counts() == after
    # and when it runs again with nothing new, it succeeds and adds nothing
    assert succeeded(pipeline.run_dag(airflow)) == TASKS
    assert counts() == after


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
