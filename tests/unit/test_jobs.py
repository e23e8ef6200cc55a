"""A job as a process of its own: what becomes of its output, its failure and its children."""

import logging
import signal
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from loglake import logs
from loglake.errors import BadInputError, ServiceError
from loglake.jobs import report, run_job

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
    assert run_job("the load", python(code)) == {"load_id": None, "note": "nothing new in the lake"}
    assert "a line of Spark" in caplog.messages
    assert caplog.messages[-1] == "nothing new in the lake"


def test_a_job_prints_its_result_or_logs_one_line_and_leaves_with_the_errors_code(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(logs, "configure", lambda: None)
    job = logging.getLogger("spark_jobs.load")

    report(job, lambda: '{"note": "done"}')
    assert capsys.readouterr().out == '{"note": "done"}\n'

    for error, code in ((BadInputError("no such month"), 2), (ServiceError("no broker"), 1)):

        def fail(error: Exception = error) -> str:
            raise error

        with pytest.raises(SystemExit) as left:
            report(job, fail)
        assert left.value.code == code
        assert (caplog.records[-1].name, caplog.messages[-1]) == ("spark_jobs.load", str(error))
    assert capsys.readouterr().out == ""


#: A job whose log is JSON (LOGLAKE_LOG_FORMAT), with a line of it after the result.
_JSON_JOB = """
import json, logging, sys
from loglake import logs
logging.basicConfig(handlers=[logging.StreamHandler(sys.stdout)], level=logging.INFO)
logging.getLogger().handlers[0].setFormatter(logs.formatter("json"))
log = logging.getLogger("spark_jobs.load")
log.info("reading snapshot 5")
if len(sys.argv) > 1:
    log.error("the range has expired"), sys.exit(2)
print(json.dumps({"load_id": 1, "note": "load 1"}), flush=True)
log.info("stopped")
"""


def test_a_log_in_json_is_not_taken_for_the_result(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    assert run_job("the load", python(_JSON_JOB)) == {"load_id": 1, "note": "load 1"}
    assert any("reading snapshot 5" in message for message in caplog.messages)
    with pytest.raises(ServiceError, match=r"exit code 2: the range has expired$"):
        run_job("the load", (*python(_JSON_JOB), "fail"))


def test_a_failed_load_is_an_error_with_its_last_words() -> None:
    with pytest.raises(ServiceError, match="exit code 2: the range has expired"):
        run_job("the load", python("import sys; print('the range has expired'); sys.exit(2)"))


def test_a_load_without_a_result_is_an_error() -> None:
    with pytest.raises(ServiceError, match="without its result; its last line: 'done'"):
        run_job("the load", python("print('done')"))


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
            run_job("the load", python(code))
    finally:
        signal.signal(signal.SIGALRM, previous)
    assert not any(runs(int(pid)) for pid in pids.read_text().split())
