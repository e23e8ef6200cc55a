"""What the tasks of the maintenance DAG do; the DAG only says when. Each returns the facts of its steps, and raises ServiceError."""

import logging
from typing import Any

from loglake import retention, upkeep
from loglake.jobs import command, run_job

log = logging.getLogger(__name__)


def maintain_lake() -> dict[str, Any]:
    """All steps of the lake in one Spark session: step → facts."""
    steps: dict[str, Any] = run_job("maintenance of the lake", command("spark_jobs.maintain"))["steps"]
    return steps


def retire_raw() -> dict[str, float]:
    """Months of `raw.log_events` that are older than they are to be kept."""
    return _said(retention.retire())


def clean_progress() -> dict[str, float]:
    """Old rows of `ops.stream_progress`."""
    return _said(upkeep.clean_progress())


def clean_airflow() -> dict[str, float]:
    """Old rows of Airflow's metadata."""
    return _said(upkeep.clean_airflow())


def clean_logs() -> dict[str, float]:
    """Old logs of Airflow's tasks."""
    return _said(upkeep.clean_logs())


def _said(step: upkeep.Step) -> dict[str, float]:
    """The step's facts; what it did becomes the log's last line."""
    log.info("%s, %.1f s", step.note, step.seconds)
    return {**step.facts, "seconds": round(step.seconds, 1)}
