"""Jobs as processes of their own: how a step of a DAG runs one, and how each of them says what it did, in its last line."""

import contextlib
import json
import logging
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import psutil

from loglake import logs
from loglake.errors import LoglakeError, ServiceError
from loglake.settings import PROJECT

log = logging.getLogger(__name__)

_END_SECONDS = 10


@dataclass(frozen=True)
class Result(ABC):
    """What a job did."""

    @property
    @abstractmethod
    def note(self) -> str:
        """The same in words."""

    def as_json(self) -> str:
        """One line: the fields and the note (see `run_job`)."""
        return json.dumps({**asdict(self), "note": self.note})


def report(job: logging.Logger, work: Callable[[], str]) -> None:
    """The `main` of a job: work, and print the result that it answers as one line of JSON; an error is one line of the job's log."""
    logs.configure()
    try:
        result = work()
    except LoglakeError as error:
        job.error("%s", error)
        sys.exit(error.exit_code)
    print(result)  # noqa: T201


def command(module: str, *arguments: str) -> tuple[str, ...]:
    """The command line of a job's module, `spark_jobs.load` say, in this environment's Python."""
    return (sys.executable, "-m", module, *arguments)


def run_job(name: str, arguments: tuple[str, ...]) -> dict[str, Any]:
    """Run a job's command line to its end; its result is the last line of output that is one (`_result`). ServiceError when it fails.

    The result's `note` is logged last. The job stays in this process's group: whoever stops the task by its group stops Spark's JVM too.
    """
    with subprocess.Popen(arguments, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            result, last = _follow(process)
            code = process.wait()
        finally:
            if process.poll() is None:
                _end_tree(process.pid)
    if code != 0:
        raise ServiceError(f"{name} ended with exit code {code}: {last or 'it said nothing'}")
    if result is None:
        raise ServiceError(f"{name} ended without its result; its last line: {last!r}")
    log.info("%s", result["note"])
    return result


def _follow(process: subprocess.Popen[str]) -> tuple[dict[str, Any] | None, str]:
    """Log what the process prints, line by line; its result, if it printed one, and what the last other line says."""
    result, last = None, ""
    for line in process.stdout or ():
        text = line.rstrip()
        if (found := _result(text)) is not None:
            result = found
        elif text:
            log.info("%s", text)
            last = logs.event_of(text)
    return result, last


def _result(line: str) -> dict[str, Any] | None:
    """The result in a line: a JSON object with a `note`. A line of the log, which may be JSON too, has a level."""
    if not line.startswith("{"):
        return None
    try:
        found: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    return found if "note" in found and "level" not in found else None


def _end_tree(pid: int) -> None:
    """End a process that runs, and its children."""
    process = psutil.Process(pid)
    tree = [process, *process.children(recursive=True)]
    for member in tree:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.terminate()
    _, left = psutil.wait_procs(tree, timeout=_END_SECONDS)
    for member in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()
