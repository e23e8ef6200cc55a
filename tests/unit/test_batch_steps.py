"""The steps of a batch run: the load as a process of its own, and what becomes of its output, its failure and its children."""

import logging
import signal
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from loglake import batch_steps, orchestrate
from loglake.errors import ServiceError

pytestmark = pytest.mark.unit


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


def runs(pid: int) -> bool:
    """Whether a process does anything any more; one that has ended may wait for init to take note."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_the_result_is_the_json_line_and_the_note_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    code = """
import sys
print("a line of Spark")
print('{"load_id": null, "note": "nothing new in the lake"}', flush=True)
print("bye", file=sys.stderr)
"""
    assert batch_steps.run_load(python(code)) == {"load_id": None, "note": "nothing new in the lake"}
    assert "a line of Spark" in caplog.messages
    assert caplog.messages[-1] == "nothing new in the lake"


def test_a_failed_load_is_an_error_with_its_last_words() -> None:
    with pytest.raises(ServiceError, match="exit code 2: the range has expired"):
        batch_steps.run_load(python("import sys; print('the range has expired'); sys.exit(2)"))


def test_a_load_without_a_result_is_an_error() -> None:
    with pytest.raises(ServiceError, match="not its result: 'done'"):
        batch_steps.run_load(python("print('done')"))


def test_a_time_out_ends_the_load_and_its_children(tmp_path: Path) -> None:
    class TimedOut(BaseException):
        """As Airflow's execution_timeout: raised by a signal in the middle of the work."""

    def expire(_number: int, _frame: object) -> None:
        raise TimedOut

    pids = tmp_path / "pids"
    code = f"""
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open({str(pids)!r} + ".new", "w").write(f"{{os.getpid()}} {{child.pid}}")
os.rename({str(pids)!r} + ".new", {str(pids)!r})
time.sleep(600)
"""

    def interrupt() -> None:
        while not pids.exists():
            time.sleep(0.05)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGALRM)

    previous = signal.signal(signal.SIGALRM, expire)
    try:
        threading.Thread(target=interrupt).start()
        with pytest.raises(TimedOut):
            batch_steps.run_load(python(code))
    finally:
        signal.signal(signal.SIGALRM, previous)
    assert not any(runs(int(pid)) for pid in pids.read_text().split())


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
