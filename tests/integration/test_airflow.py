"""Airflow on the real servers: the DAG is listed and runs to its end, a killed scheduler leaves nothing."""

import json
import os
import signal
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import psutil
import pytest
import requests

from loglake import clients
from loglake.dag_policy import SPARK_POOL
from loglake.errors import ServiceError
from loglake.orchestrate import DAG_ID, Airflow, TaskUpdate
from loglake.settings import settings
from tests import openlineage, pipeline
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


@dataclass(frozen=True)
class Done:
    """A run of the DAG that has ended: its id and every change of a task's state."""

    run_id: str
    updates: list[TaskUpdate]


def run_dag(params: dict[str, Any] | None = None) -> Done:
    api = Airflow()
    run_id = api.trigger(params=params)
    return Done(run_id, list(api.follow(run_id)))


@pytest.fixture(scope="module")
def loaded(airflow: EmbeddedStack, tmp_path_factory: pytest.TempPathFactory) -> tuple[Done, tuple[int, int, int]]:
    """A run that loaded and built new events, and the counts that it must leave: every event is in the marts."""
    pipeline.wait_in_lake(airflow)
    pipeline.load(airflow)
    before = pipeline.books(airflow)
    truth = pipeline.generate(airflow, tmp_path_factory.mktemp("ledger") / "ledger", "--count", "2000", "--seed", "7")
    pipeline.wait_in_lake(airflow)
    events = before["raw_events"] + truth.events
    return run_dag(), (before["loaded"]["loads"] + 1, events, events)


def announced(run_id: str) -> dict[str, Any]:
    """The assets that a run announced, and what was said of each."""
    found = Airflow()._call("GET", "/api/v2/assets/events", params={"source_run_id": run_id})["asset_events"]
    return {event["name"]: event["extra"] for event in found}


def last_line(run_id: str, task: str) -> str:
    """The last line of a task's log that is its own, not Airflow's."""
    content = Airflow()._call("GET", f"/api/v2/dags/{DAG_ID}/dagRuns/{quote(run_id)}/taskInstances/{task}/logs/1")["content"]
    return str([line["event"] for line in content if str(line.get("logger", "")).startswith("loglake")][-1])


def test_a_run_loads_what_is_new_and_the_next_one_changes_nothing(loaded: tuple[Done, tuple[int, int, int]]) -> None:
    # given a run with new events: it succeeded task by task, in order, and every event is in the marts
    first, after = loaded
    assert succeeded(first.updates) == TASKS
    assert counts() == after
    load = pipeline.scalar("select max(load_id) from ops.load_manifest")
    assert announced(first.run_id) == {"loglake_raw": {"load_id": load}, "loglake_marts": {"load_id": load}}
    # when it runs again with nothing new, it succeeds, adds nothing and announces nothing
    second = run_dag()
    assert succeeded(second.updates) == TASKS
    assert counts() == after
    assert announced(second.run_id) == {}


def test_each_task_leaves_facts_and_says_last_what_it_did(loaded: tuple[Done, tuple[int, int, int]]) -> None:
    done, _ = loaded
    tasks = {task.name: task for task in Airflow().tasks(done.run_id)}
    assert set(tasks) == set(TASKS)
    for name, task in tasks.items():
        assert 0 < task.facts["took_seconds"] <= task.ended - task.started, name
        assert last_line(done.run_id, name).startswith(task.facts["note"]), name
    load, build = tasks[TASKS[2]].facts, tasks[TASKS[4]].facts
    assert load["rows_read"] == load["rows_inserted"] + load["rows_duplicate"] + load["rows_rejected"] >= 2000
    assert f"snapshots {load['snapshot_from'] or 'start'}..{load['snapshot_to']}" in load["note"]
    assert build["models"] > 20
    assert build["rows"] > 2000
    assert build["tests_passed"] > 20


def test_a_run_can_be_asked_to_load_everything_and_leave_dbt_out(loaded: tuple[Done, tuple[int, int, int]]) -> None:
    done = run_dag({"load": "full", "skip_dbt": True})
    assert succeeded(done.updates) == TASKS[:3]
    assert {update.task for update in done.updates if update.state == "skipped"} == set(TASKS[3:])
    facts = {task.name: task.facts for task in Airflow().tasks(done.run_id)}[TASKS[2]]
    assert facts["rows_inserted"] == 0
    assert facts["rows_duplicate"] >= loaded[1][1]


def test_a_param_that_is_none_is_refused_in_a_line(airflow: EmbeddedStack) -> None:
    with pytest.raises(ServiceError, match=r"answers 400 .*'everything' is not one of"):
        run_dag({"load": "everything"})


def test_lineage_leads_from_a_mart_to_the_topic(airflow: EmbeddedStack, loaded: tuple[Done, tuple[int, int, int]]) -> None:
    # given what the stream, Airflow and its jobs told, all of it valid
    events = [json.loads(line) for line in airflow.lineage.read_text().splitlines()]
    assert {error for event in events for error in openlineage.errors(event)} == set()
    assert {"lake_stream", "load", "dbt.fact_order", f"{DAG_ID}.{TASKS[2]}", DAG_ID} <= {event["job"]["name"] for event in events}
    # then a mart's column can be followed, job by job, to a field of the topic
    assert openlineage.origins(events, "loglake.marts.fact_order", "amount") == {("LogEvents", "order.items")}
    assert openlineage.origins(events, "loglake.marts.dim_users", "city") == {("LogEvents", "user.city")}
    # and the load is a part of its task's run, which is a part of the DAG's
    load = next(one for one in events if one["job"]["name"] == "load" and one["eventType"] == "COMPLETE")
    parent = load["run"]["facets"]["parent"]
    assert parent["job"]["name"] == f"{DAG_ID}.{TASKS[2]}"
    assert parent["run"]["runId"] in {event["run"]["runId"] for event in events if event["job"]["name"] == parent["job"]["name"]}
    assert parent["root"]["run"]["runId"] in {event["run"]["runId"] for event in events if event["job"]["name"] == DAG_ID}


def test_a_maintenance_run_succeeds_and_its_tasks_say_what_they_did(airflow: EmbeddedStack) -> None:
    api = Airflow()
    run = api.trigger("loglake_maintenance")
    assert set(succeeded(list(api.follow(run, "loglake_maintenance")))) == {
        "maintain_lake",
        "retire_raw",
        "clean_progress",
        "clean_airflow",
        "clean_logs",
    }
    with clients.postgres("airflow", settings().postgres.airflow_database) as connection:
        found = connection.execute(
            "select task_id, value from xcom where dag_id = 'loglake_maintenance' and key = 'return_value' and run_id = %s", [run]
        ).fetchall()
    facts = dict(found)
    assert set(facts["maintain_lake"]) == {"lake", "compact", "manifests", "expire", "orphans"}
    assert facts["maintain_lake"]["compact"]["bytes_before"] > 0
    # all of it is younger than it is kept
    assert (facts["clean_progress"]["rows"], facts["clean_airflow"]["rows"], facts["clean_logs"]["files"]) == (0, 0, 0)
    assert facts["retire_raw"] == {"seconds": 0.0}  # off by default


def test_no_file_of_the_dag_folder_has_an_import_error(airflow: EmbeddedStack) -> None:
    assert Airflow().import_errors() == []


def test_the_pool_of_spark_is_there_with_one_slot_and_stays_as_its_users_set_it(airflow: EmbeddedStack) -> None:
    with clients.postgres("airflow", settings().postgres.airflow_database) as connection:
        slots = "select slots from slot_pool where pool = %s"
        assert connection.execute(slots, [SPARK_POOL]).fetchall() == [(1,)]
        connection.execute("update slot_pool set slots = 2 where pool = %s", [SPARK_POOL])
        airflow.start(("airflow-api",))
        assert connection.execute(slots, [SPARK_POOL]).fetchall() == [(2,)]
        connection.execute("delete from slot_pool where pool = %s", [SPARK_POOL])
        airflow.start(("airflow-api",))
        assert connection.execute(slots, [SPARK_POOL]).fetchall() == [(1,)]


def test_the_api_answers_nobody_without_a_log_in(airflow: EmbeddedStack) -> None:
    url = f"{settings().airflow.url}/api/v2/dags/{DAG_ID}"
    assert requests.get(url, timeout=30).status_code == requests.codes.unauthorized
    assert requests.get(url, headers={"Authorization": "Bearer forged"}, timeout=30).status_code == requests.codes.forbidden


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
