"""Tools that `loglake up` runs to their end: initdb, formatters, Ivy. They end with it."""

import shutil
import subprocess
from collections.abc import Sequence

from loglake.errors import ServiceError


def mortal(command: Sequence[str]) -> tuple[str, ...]:
    """`command` so that it ends with this process: one that outlives a killed `loglake up` would get in the way of the next."""
    if shutil.which("setpriv") is None:
        raise ServiceError("no setpriv in PATH: apt-get install util-linux")
    return ("setpriv", "--pdeathsig=KILL", "--", *command)


def run(command: Sequence[str], failure: str, environment: dict[str, str] | None = None) -> None:
    """Run a command to its end; ServiceError with `failure` and the last line it said when it fails."""
    done = subprocess.run(mortal(command), env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        said = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise ServiceError(f"{failure}: {said[-1] if said else f'exit code {done.returncode}'}")
