"""Following a run of the batch DAG through Airflow's API."""

import pytest

from loglake import orchestrate
from loglake.errors import ServiceError

pytestmark = pytest.mark.unit


def instance(task: str, state: str | None, attempt: int = 1, start: str | None = "2026-01-01T00:00:00Z") -> dict[str, object]:
    return {"task_id": task, "state": state, "try_number": attempt, "start_date": start, "duration": 1.5}


def test_only_changes_of_a_tasks_state_are_told_once() -> None:
    seen: dict[str, tuple[str, int]] = {}
    waiting = [instance("load", None, 0, None), instance("check", "running")]
    assert orchestrate.changes(seen, waiting) == [orchestrate.TaskUpdate("check", "running", 1, 1.5)]
    assert orchestrate.changes(seen, waiting) == []
    retried = [instance("check", "running", 2)]
    assert orchestrate.changes(seen, retried) == [orchestrate.TaskUpdate("check", "running", 2, 1.5)]


def airflow_with(monkeypatch: pytest.MonkeyPatch, scheduler: str) -> orchestrate.Airflow:
    """Airflow's API with a run in which nothing moves, but that has succeeded when the scheduler was asked for twice."""
    asked: list[str] = []

    def call(_method: str, path: str) -> object:
        if path.endswith("monitor/health"):
            asked.append(path)
            return {"scheduler": {"status": scheduler}}
        return {"task_instances": [], "state": "success" if len(asked) == 2 else "queued"}

    airflow = object.__new__(orchestrate.Airflow)
    monkeypatch.setattr(airflow, "_call", call)
    return airflow


def test_a_run_that_no_scheduler_drives_is_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orchestrate, "_QUIET_SECONDS", 0.0)
    monkeypatch.setattr(orchestrate, "_POLL_SECONDS", 0.0)

    with pytest.raises(ServiceError, match="run 7 of loglake_batch waits, but Airflow's scheduler is unhealthy"):
        list(airflow_with(monkeypatch, "unhealthy").follow("7"))

    assert list(airflow_with(monkeypatch, "healthy").follow("7")) == []


def test_the_first_error_of_a_log_is_the_exceptions_message() -> None:
    content = [
        {"event": "starting", "level": "info"},
        {
            "event": "Task failed with exception",
            "level": "error",
            "error_detail": [{"exc_type": "ServiceError", "exc_value": "Kafka: refused"}],
        },
        {"event": "another", "level": "error"},
    ]
    assert orchestrate.first_error(content) == "Kafka: refused"
    assert orchestrate.first_error([]) == "its log names no error"
