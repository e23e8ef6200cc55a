"""Run one service in the foreground, as a container does: prepared, watched by its own probe, completed once healthy, stopped in order.

Docker asks for the health often, and a Python process each time would cost more than the servers: so the probe is asked here, and leaves a
mark, a file, whose age Docker's health check looks at (`Dockerfile`).
"""

import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from loglake.errors import ServiceError
from loglake.settings import child_environment, settings
from stack import airflow
from stack.lifecycle import select
from stack.service import Service
from stack.services import services

log = logging.getLogger("stack.serve")

_STARTING_SECONDS, _RUNNING_SECONDS = 0.5, 10.0


def serve(name: str, mark: Path) -> int:
    """Run the service to its end, or until SIGTERM; its exit code. BadInputError for an unknown name, ServiceError when it cannot start."""
    service = select((*services(), airflow.triggerer()), [name])[0]
    mark.unlink(missing_ok=True)
    settings().runtime.logs_dir.mkdir(parents=True, exist_ok=True)
    service.prepare()
    started = datetime.now(UTC)
    process = subprocess.Popen(service.command, env=child_environment(**service.environment), cwd=service.directory, start_new_session=True)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stopper(service, process))
    try:
        return _watch(service, process, lambda: service.lacks(started), mark)
    finally:
        mark.unlink(missing_ok=True)
        if process.poll() is None:
            process.kill()


def _watch(service: Service, process: "subprocess.Popen[bytes]", lacks: Callable[[], str], mark: Path) -> int:
    """Ask until the process has ended: often while it starts, then now and then; the mark is renewed whenever nothing is lacking."""
    began, completed, said = time.monotonic(), False, ""
    while process.poll() is None:
        lacking = lacks()
        if not lacking and not completed and process.poll() is None:
            service.complete()
            completed = True
            log.info("%s is healthy after %.1f s", service.name, time.monotonic() - began)
        if not lacking:
            mark.touch()
        elif completed and lacking != said:
            log.warning("%s: %s", service.name, lacking)
        said = lacking
        if not completed and time.monotonic() - began > service.gate_seconds:
            raise ServiceError(f"{service.name} is not healthy after {service.gate_seconds:.0f} s: {lacking}")
        _wait(process, _RUNNING_SECONDS if completed else _STARTING_SECONDS)
    return process.returncode if process.returncode >= 0 else 128 - process.returncode


def _wait(process: "subprocess.Popen[bytes]", seconds: float) -> None:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return


def _stopper(service: Service, process: "subprocess.Popen[bytes]") -> Callable[[int, FrameType | None], None]:
    """What SIGTERM does here: the service's own stop signal, to it alone or to its whole group."""
    number = signal.Signals[f"SIG{service.stop_signal}"]

    def stop(_number: int, _frame: FrameType | None) -> None:
        if process.poll() is None:
            (os.killpg if service.stop_group else os.kill)(process.pid, number)

    return stop
