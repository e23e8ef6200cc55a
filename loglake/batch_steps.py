"""What the steps of a batch run do; the DAG only says when. Each raises ServiceError with one line when the run must not go on."""

import contextlib
import json
import logging
import subprocess
import sys
from typing import Any

import psutil
import psycopg

from loglake import clients, health, validate
from loglake.errors import ServiceError
from loglake.settings import PROJECT

log = logging.getLogger(__name__)

LOAD_COMMAND = (sys.executable, "-m", "spark_jobs.load")
_END_SECONDS = 10


def check_services() -> dict[str, str]:
    """Service → what it says of itself; ServiceError that names each one that is not fit for a run."""
    statuses = health.check_all()
    for status in statuses:
        log.info("%s: %s, %s", status.name, "ok" if status.ok else "NOT OK", status.detail)
    health.require(statuses)
    return {status.name: status.detail for status in statuses}


def validate_postgres() -> str:
    """ServiceError with everything that is wrong in the warehouse."""
    try:
        with clients.postgres("monitor") as connection:
            problems = validate.validate_warehouse(connection)
    except psycopg.Error as error:
        raise ServiceError(f"the warehouse cannot be asked: {clients.one_line(error)}") from error
    if problems:
        raise ServiceError("; ".join(problems))
    return "schema, roles and the last load's books are in order, no load in flight"


def run_load(command: tuple[str, ...] = LOAD_COMMAND) -> dict[str, Any]:
    """Run the load as a process of its own, whose last line of output is its result; ServiceError when it fails.

    It stays in this process's group: whoever stops the task by its group stops Spark's JVM too.
    """
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            last = _follow(process)
            code = process.wait()
        finally:
            if process.poll() is None:
                _end_tree(process.pid)
    if code != 0:
        raise ServiceError(f"the load ended with exit code {code}: {last or 'it said nothing'}")
    try:
        result: dict[str, Any] = json.loads(last)
    except ValueError as error:
        raise ServiceError(f"the load's last line is not its result: {last!r}") from error
    log.info("%s", result["note"])
    return result


def give_dbt_environment(_context: Any, operator: Any) -> None:
    """Cosmos interceptor: what dbt's profile reads, given at run time so that no password becomes part of the DAG."""
    from loglake import models

    operator.env = {**(operator.env or {}), **models.dbt_environment()}


def _follow(process: subprocess.Popen[str]) -> str:
    """Log what the process prints, line by line; the last line that is a JSON object, or the last line."""
    last = ""
    result = ""
    for line in process.stdout or ():
        text = line.rstrip()
        if text.startswith("{"):
            result = text
        elif text:
            log.info("%s", text)
            last = text
    return result or last


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
