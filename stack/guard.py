"""Run a command and leave nothing of it behind: `python -m stack.guard COMMAND ARGS…`.

For servers whose children outlive them. Airflow puts each task into a process group of its own, so neither a signal to
the scheduler's group nor the scheduler's death (kill -9) ends a running task and what it started. This process stays
the parent of all of them, and when the command ends or SIGTERM comes, it ends them all. Standard library and psutil
only: it lives as long as the server and should cost next to nothing.
"""

import ctypes
import os
import signal
import subprocess
import sys
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from psutil import Process

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_GRACE_SECONDS = 15.0
#: For what a command that is gone left behind: nobody waits for its work any more.
_ORPHAN_GRACE_SECONDS = 2.0


class _StopAskedFor(Exception):
    """SIGTERM or SIGINT came."""


def run(command: list[str], grace_seconds: float = _GRACE_SECONDS) -> int:
    """Run `command` to its end, or until a stop signal; then end every process that came from it. The exit code."""
    if sys.platform == "linux":
        # Orphans among the descendants become children of this process, so that they can still be found.
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    try:
        child = subprocess.Popen(command, preexec_fn=_end_with_parent)  # noqa: PLW1509 - one thread
        code = child.returncode = _wait(child.pid)
        grace_seconds = _ORPHAN_GRACE_SECONDS
    except _StopAskedFor:
        code = 0
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        end_descendants(grace_seconds)
    return code if code >= 0 else 128 - code


def _wait(pid: int) -> int:
    """Wait for the child `pid`, meanwhile taking note of every adopted orphan that ends; the exit code, or minus a signal's number."""
    while True:
        ended, status = os.wait()
        if ended == pid:
            return os.waitstatus_to_exitcode(status)


def end_descendants(grace_seconds: float) -> None:
    """SIGTERM to every descendant of this process, and SIGKILL to those left after the grace."""
    import psutil

    this = psutil.Process()
    processes = this.children(recursive=True)
    for process in processes:
        _send(process, signal.SIGTERM)
    psutil.wait_procs(processes, timeout=grace_seconds)
    while processes := this.children(recursive=True):
        for process in processes:
            _send(process, signal.SIGKILL)
        psutil.wait_procs(processes, timeout=1)


def _send(process: "Process", number: int) -> None:
    import psutil

    with suppress(psutil.NoSuchProcess):
        process.send_signal(number)


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise _StopAskedFor


def _end_with_parent() -> None:
    """In the child: SIGTERM when this guard is killed itself."""
    if sys.platform == "linux":
        _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}, {value})")


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
