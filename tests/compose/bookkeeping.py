"""The books of a project: after the lake has every record and the batch has run, and what of them must stay."""

from typing import Any

from loglake.orchestrate import Airflow
from tests import pipeline
from tests.compose.project import Project


def run_dag() -> None:
    """Trigger the batch DAG through the REST API on its published port, and follow it to its end; ServiceError when it fails."""
    airflow = Airflow()
    assert [update.state for update in airflow.follow(airflow.trigger())][-1] == "success"


def balanced_books(project: Project) -> dict[str, Any]:
    """The books after the lake has every record and the DAG has run."""
    pipeline.wait_in_lake(project)
    run_dag()
    found = pipeline.books(project)
    assert found["balanced"], found["findings"]
    return found


def totals(found: dict[str, Any]) -> dict[str, Any]:
    """What of the books must be the same when nothing has come in between."""
    return {name: found[name] for name in ("kafka", "raw_events", "raw_rejected", "marts")} | {"lake": pipeline.in_lake(found)}
