"""Policy of the DAGs: what every one of them must carry, and the shape of the batch. The files are read as Airflow reads them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from loglake.settings import PROJECT, child_environment

pytestmark = pytest.mark.unit

#: Reads the DAG folder in a process of its own, in which any attempt to connect is an error, and prints what it found.
READER = """
import json, socket, sys, time

def refuse(*arguments, **options):
    raise AssertionError("a DAG file opened a connection when it was imported")

socket.socket.connect = socket.create_connection = refuse
from airflow.dag_processing.dagbag import DagBag
began = time.monotonic()
bag = DagBag(sys.argv[1])
found = {"errors": dict(bag.import_errors), "seconds": time.monotonic() - began, "dags": {}}
for dag in bag.dags.values():
    found["dags"][dag.dag_id] = {
        "doc": dag.doc_md, "tags": sorted(dag.tags), "schedule": dag.timetable.expression, "catchup": dag.catchup,
        "max_active_runs": dag.max_active_runs, "paused": dag.is_paused_upon_creation,
        "timeout": dag.dagrun_timeout and dag.dagrun_timeout.total_seconds(),
        "groups": sorted(group for group in dag.task_group.get_task_group_dict() if group),
        "tasks": {
            task.task_id: {
                "owner": task.owner, "retries": task.retries, "delay": task.retry_delay.total_seconds(),
                "grows": bool(task.retry_exponential_backoff), "operator": task.task_type,
                "timeout": task.execution_timeout and task.execution_timeout.total_seconds(),
                "after": sorted(task.upstream_task_ids), "env": getattr(task, "env", None),
            } for task in dag.tasks
        },
    }
from contextlib import contextmanager
from cosmos.operators.local import DbtBuildLocalOperator
from loglake import models

@contextmanager
def lock():
    steps.append("alone")
    yield
    steps.append("free")

models.only_run = lock
DbtBuildLocalOperator.execute = lambda self, context, **options: steps.append("dbt")
for name, one in found["dags"].items():
    for task in bag.dags[name].tasks:
        steps = []
        if isinstance(task, DbtBuildLocalOperator):
            type(task).execute.__wrapped__(task, {})
        one["tasks"][task.task_id]["steps"] = steps
print(json.dumps(found))
"""
CHECK = "check_services_group.check_services_health"
VALIDATE = "validate_and_processing_group.validate_postgres_data"
LOAD = "validate_and_processing_group.spark_batch_task"
SNAPSHOT = "dbt_group.dbt_snapshot_task"
BUILD = "dbt_group.dbt_run_task"


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The DAG folder as a fresh process sees it: no server, no secrets file."""
    home: Path = tmp_path_factory.mktemp("airflow")
    environment = child_environment(
        AIRFLOW_HOME=str(home),
        AIRFLOW__CORE__LOAD_EXAMPLES="False",
        LOGLAKE_RUNTIME_DIR=str(home / "runtime"),
        LOGLAKE_POSTGRES_PORT="1",
        PYTHONPATH=str(PROJECT),
    )
    command = [sys.executable, "-c", READER, str(PROJECT / "dags")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def batch(bag: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = bag["dags"]["loglake_batch"]
    return found


def test_every_file_is_read_without_a_connection(bag: dict[str, Any]) -> None:
    assert bag["errors"] == {}
    assert bag["dags"]


def test_every_dag_says_what_it_is_for_and_when(bag: dict[str, Any]) -> None:
    for name, found in bag["dags"].items():
        assert found["doc"], name
        assert "loglake" in found["tags"], name
        assert found["catchup"] is False, name
        assert found["timeout"], name


def test_every_task_has_an_owner_growing_retries_and_a_timeout(bag: dict[str, Any]) -> None:
    tasks = {f"{dag}.{name}": task for dag, found in bag["dags"].items() for name, task in found["tasks"].items()}
    assert tasks
    for name, task in tasks.items():
        assert task["owner"] == "loglake", name
        assert task["retries"] >= 2, name
        assert task["grows"], name
        assert task["delay"] <= 30, name
        assert task["timeout"], name


def test_batch_runs_every_ten_minutes_one_run_at_a_time(batch: dict[str, Any]) -> None:
    assert batch["schedule"] == "*/10 * * * *"
    assert batch["max_active_runs"] == 1
    assert batch["paused"] is False


def test_batch_checks_then_validates_then_loads_then_builds(batch: dict[str, Any]) -> None:
    after = {name: task["after"] for name, task in batch["tasks"].items()}
    assert after == {CHECK: [], VALIDATE: [CHECK], LOAD: [VALIDATE], SNAPSHOT: [LOAD], BUILD: [SNAPSHOT]}
    assert batch["groups"] == ["check_services_group", "dbt_group", "validate_and_processing_group"]


def test_the_load_gets_three_retries_and_the_others_two(batch: dict[str, Any]) -> None:
    retries = {name: task["retries"] for name, task in batch["tasks"].items()}
    assert retries == {CHECK: 2, VALIDATE: 2, LOAD: 3, SNAPSHOT: 2, BUILD: 2}


def test_dbt_runs_through_cosmos_and_its_password_is_not_in_the_dag(batch: dict[str, Any]) -> None:
    assert batch["tasks"][SNAPSHOT]["operator"] == batch["tasks"][BUILD]["operator"] == "DbtTask"
    assert batch["tasks"][SNAPSHOT]["steps"] == batch["tasks"][BUILD]["steps"] == ["alone", "dbt", "free"]
    assert not batch["tasks"][SNAPSHOT]["env"]
    assert not batch["tasks"][BUILD]["env"]
