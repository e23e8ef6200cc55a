"""What the steps of a batch run do; the DAG only says when. Each raises ServiceError with one line when the run must not go on.

A step returns facts: a small dict of plain values, kept as the task's XCom. In each, `note` says what was done, as the step's last line of
log does, and `took_seconds` how long the step itself took: what a task took beyond that is Airflow's own (`loglake bench overhead`).
"""

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

import psycopg

from loglake import clients, health, validate
from loglake.errors import BadInputError, ServiceError
from loglake.jobs import command, run_job
from loglake.repair_steps import BACKFILL, Repair

log = logging.getLogger(__name__)

#: What a run can be asked to load, and the job that does it.
LOADS = {
    "new": ("the load", command("spark_jobs.load")),
    "full": ("the full load", command("spark_jobs.load", "--full")),
    "rebuild": ("the rebuild", command("spark_jobs.rebuild")),
}
#: Asks for what raw lacks of a range of time, which `from` and `to` give.
RANGE = "range"
DEFAULT_LOAD = "new"


def check_services() -> dict[str, Any]:
    """Facts: `services`, what each says of itself. ServiceError that names each one that is not fit for a run."""
    began = time.monotonic()
    statuses = health.check_all()
    for status in statuses:
        log.info("%s: %s, %s", status.name, "ok" if status.ok else "NOT OK", status.detail)
    health.require(statuses)
    services = {status.name: status.detail for status in statuses}
    return finished(began, f"{len(services)} services are fit for a run", {"services": services})


def validate_postgres() -> dict[str, Any]:
    """Facts: nothing but the note. ServiceError with everything that is wrong in the warehouse."""
    began = time.monotonic()
    try:
        with clients.postgres("monitor") as connection:
            problems = validate.validate_warehouse(connection)
    except psycopg.Error as error:
        raise ServiceError(f"the warehouse cannot be asked: {clients.one_line(error)}") from error
    if problems:
        raise ServiceError("; ".join(problems))
    return finished(began, "schema, roles and the last load's books are in order, no load in flight", {})


def run_load(**context: Any) -> dict[str, Any]:
    """Run the load, or what else the run's param `load` asks for. Facts: the job's result (spark_jobs.load.LoadResult, say)."""
    from airflow.sdk.exceptions import AirflowFailException

    from loglake import assets
    from loglake.lineage.airflow import parent

    began = time.monotonic()
    try:
        name, job = load_job(context["params"], parent(context["ti"]))
    except BadInputError as error:
        raise AirflowFailException(str(error)) from error
    result = run_job(name, job)
    assets.announce(assets.RAW, context)
    return finished(began, result["note"], result)


def load_job(params: Mapping[str, Any], parent: str) -> tuple[str, tuple[str, ...]]:
    """The job that a run's params ask for: its name and its command line; BadInputError when the range's moments cannot be used."""
    if params["load"] == RANGE:
        return "the backfill", Repair(BACKFILL, start=params["from"], end=params["to"], dry_run=False).arguments("")
    name, job = LOADS[params["load"]]
    return name, (*job, "--parent", parent)


def run_dbt(run: Callable[[], object], context: Mapping[str, Any], *, announces: bool) -> dict[str, Any]:
    """Call `run`, which runs dbt in this process, alone: it waits for a run by hand (`loglake model`), and holds off the next.

    Facts: `ModelRun.facts`. The task is skipped when the run's param `skip_dbt` asks for it. `announces`: fresh marts, to other DAGs.
    """
    from airflow.sdk.exceptions import AirflowSkipException

    from loglake import assets, models
    from loglake.lineage.airflow import parent

    if context["params"]["skip_dbt"]:
        raise AirflowSkipException("dbt is skipped, as the run's params ask (skip_dbt)")
    began = time.monotonic()
    with models.only_run():
        models.forget_results()
        run()
        done = models.last_results()
        models.tell_lineage(parent(context["ti"]))
    if announces:
        assets.announce(assets.MARTS, context)
    return finished(began, done.note, done.facts)


def finished(began: float, note: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts of a step that began at that monotonic time, its last line logged."""
    took = round(time.monotonic() - began, 3)
    log.info("%s; the step took %.1f s", note, took)
    return {**facts, "note": note, "took_seconds": took}


def give_dbt_environment(_context: Any, operator: Any) -> None:
    """Cosmos interceptor: what dbt's profile reads, given at run time so that no password becomes part of the DAG."""
    from loglake import models

    operator.env = {**(operator.env or {}), **models.dbt_environment()}
