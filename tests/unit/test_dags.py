"""Policy of the DAGs: what every one of them must carry, and the shape of the batch. The files are read as Airflow reads them."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from loglake.dag_policy import SPARK_POOL
from loglake.decode import REASONS
from loglake.repair_steps import Repair
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
        "doc": dag.doc_md, "tags": sorted(dag.tags), "schedule": getattr(dag.timetable, "expression", None), "catchup": dag.catchup,
        "max_active_runs": dag.max_active_runs, "paused": dag.is_paused_upon_creation,
        "tells": bool(dag.on_failure_callback), "recovers": bool(dag.on_success_callback),
        "timeout": dag.dagrun_timeout and dag.dagrun_timeout.total_seconds(),
        "params": {name: {"default": param.value, **param.schema} for name, param in dag.params.items()},
        "groups": sorted(group for group in dag.task_group.get_task_group_dict() if group),
        "tasks": {
            task.task_id: {
                "owner": task.owner, "retries": task.retries, "delay": task.retry_delay.total_seconds(),
                "grows": bool(task.retry_exponential_backoff), "operator": task.task_type,
                "timeout": task.execution_timeout and task.execution_timeout.total_seconds(),
                "after": sorted(task.upstream_task_ids), "env": getattr(task, "env", None),
                "tells": bool(task.on_failure_callback), "pool": task.pool,
            } for task in dag.tasks
        },
    }
from contextlib import contextmanager
from cosmos.operators.local import DbtBuildLocalOperator
from loglake import assets, models

@contextmanager
def lock():
    steps.append("alone")
    yield
    steps.append("free")

models.only_run = lock
models.forget_results = lambda: None
models.last_results = lambda: models.ModelRun((), 0.0)
assets.announce = lambda asset, context: steps.append(asset.name)
DbtBuildLocalOperator.execute = lambda self, context, **options: steps.append("dbt")
for name, one in found["dags"].items():
    for task in bag.dags[name].tasks:
        steps = []
        if isinstance(task, DbtBuildLocalOperator):
            type(task).execute.__wrapped__(task, {"params": {"skip_dbt": False}, "ti": None})
        one["tasks"][task.task_id]["steps"] = steps
from loglake import repair_steps
asked = found["repair"] = {}
repair_steps.repair = lambda parameters, run_id: asked.update(parameters, run_id=run_id)
repair = bag.dags["loglake_repair"]
repair.get_task("repair_task").execute({"params": repair.params, "run_id": "manual__1"})
from airflow.timetables.base import TimeRestriction
from airflow.timetables.trigger import CronTriggerTimetable
often, runs, last = CronTriggerTimetable("* * * * * */20", timezone="UTC", run_immediately=False), [], None
for _ in range(3):
    planned = often.next_dagrun_info(last_automated_data_interval=last, restriction=TimeRestriction(None, None, False))
    runs.append(planned.run_after.timestamp())
    last = planned.data_interval
found["apart"] = runs[2] - runs[1]
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


def test_every_failure_is_told_and_the_end_of_it(bag: dict[str, Any]) -> None:
    for name, found in bag["dags"].items():
        assert found["tells"], name
        assert all(task["tells"] for task in found["tasks"].values()), name
    # a round of the alert DAG ends its own incident: a callback each minute would cost as much again
    assert [name for name, found in bag["dags"].items() if not found["recovers"]] == ["loglake_alerts"]


def test_batch_runs_every_ten_minutes_one_run_at_a_time(batch: dict[str, Any]) -> None:
    assert batch["schedule"] == "*/10 * * * *"
    assert batch["max_active_runs"] == 1
    assert batch["paused"] is False


def test_a_schedule_may_have_seconds(bag: dict[str, Any]) -> None:
    assert bag["apart"] == 20


def test_a_batch_may_wait_for_spark_as_long_as_others_may_have_it(bag: dict[str, Any], batch: dict[str, Any]) -> None:
    spark = [task["timeout"] for dag in bag["dags"].values() for task in dag["tasks"].values() if task["pool"] == SPARK_POOL]
    own = sum(task["timeout"] for task in batch["tasks"].values())

    assert batch["timeout"] >= max(spark) + own


def test_batch_checks_then_validates_then_loads_then_builds(batch: dict[str, Any]) -> None:
    after = {name: task["after"] for name, task in batch["tasks"].items()}
    assert after == {CHECK: [], VALIDATE: [CHECK], LOAD: [VALIDATE], SNAPSHOT: [LOAD], BUILD: [SNAPSHOT]}
    assert batch["groups"] == ["check_services_group", "dbt_group", "validate_and_processing_group"]


def test_the_load_gets_three_retries_and_the_others_two(batch: dict[str, Any]) -> None:
    retries = {name: task["retries"] for name, task in batch["tasks"].items()}
    assert retries == {CHECK: 2, VALIDATE: 2, LOAD: 3, SNAPSHOT: 2, BUILD: 2}


def test_a_run_by_hand_can_ask_for_more_than_what_is_new(batch: dict[str, Any]) -> None:
    load, skip = batch["params"]["load"], batch["params"]["skip_dbt"]
    assert (load["default"], load["enum"]) == ("new", ["new", "full", "rebuild", "range"])
    assert (skip["default"], skip["type"]) == (False, "boolean")
    assert [batch["params"][name]["format"] for name in ("from", "to")] == ["date-time"] * 2


def test_the_load_is_in_the_pool_of_spark_and_nothing_else_of_the_batch_waits_for_it(batch: dict[str, Any]) -> None:
    pools = {name: task["pool"] for name, task in batch["tasks"].items()}
    assert pools == {CHECK: "default_pool", VALIDATE: "default_pool", LOAD: SPARK_POOL, SNAPSHOT: "default_pool", BUILD: "default_pool"}


def test_maintenance_shares_the_pool_of_spark_with_the_load_and_runs_at_a_quiet_hour(bag: dict[str, Any]) -> None:
    found = bag["dags"]["loglake_maintenance"]
    assert (found["schedule"], found["max_active_runs"]) == ("45 3 * * *", 1)
    pools = {name: task["pool"] for name, task in found["tasks"].items()}
    others = dict.fromkeys(("retire_raw", "clean_progress", "clean_airflow", "clean_logs"), "default_pool")
    assert pools == {"maintain_lake": SPARK_POOL, **others}
    # what fails in one must not keep the others from running
    assert [task["after"] for task in found["tasks"].values()] == [[]] * 5


def test_dbt_runs_through_cosmos_and_its_password_is_not_in_the_dag(batch: dict[str, Any]) -> None:
    assert batch["tasks"][SNAPSHOT]["operator"] == batch["tasks"][BUILD]["operator"] == "DbtTask"
    assert batch["tasks"][SNAPSHOT]["steps"] == ["alone", "dbt", "free"]
    assert batch["tasks"][BUILD]["steps"] == ["alone", "dbt", "free", "loglake_marts"]
    assert not batch["tasks"][SNAPSHOT]["env"]
    assert not batch["tasks"][BUILD]["env"]


def test_repair_is_asked_for_by_a_form_and_never_runs_by_itself(bag: dict[str, Any]) -> None:
    repair = bag["dags"]["loglake_repair"]
    assert repair["schedule"] is None
    assert repair["max_active_runs"] == 1
    assert {name: task["after"] for name, task in repair["tasks"].items()} == {
        "check_services_health": [],
        "repair_task": ["check_services_health"],
    }
    assert repair["tasks"]["repair_task"]["pool"] == SPARK_POOL
    form = repair["params"]
    assert form.keys() == {field.name for field in dataclasses.fields(Repair)} - {"start", "end"} | {"from", "to"}
    assert form["action"]["enum"] == ["replay", "backfill"]
    assert form["source"]["enum"] == ["lake", "kafka"]
    assert form["code"]["enum"] == [None, *REASONS]
    assert form["from"]["format"] == form["to"]["format"] == "date-time"
    # who triggers it by mistake changes nothing
    assert form["dry_run"]["default"] is True
    # and the task hands over what the form says, and the run's id
    assert bag["repair"] == {**{name: param["default"] for name, param in form.items()}, "run_id": "manual__1"}
