"""stack.guard: whatever a command leaves behind, in whatever process group, ends with it."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable

import psutil
import pytest

from loglake.settings import PROJECT

pytestmark = pytest.mark.unit

#: Starts a process in a session of its own, prints its pid, and goes on as the test says.
PARENT = """
import os, signal, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print(child.pid, flush=True)
"""


def guarded(then: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "stack.guard", sys.executable, "-c", PARENT + then]
    return subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def test_orphans_of_a_killed_command_end_with_it() -> None:
    with guarded("os.kill(os.getpid(), signal.SIGKILL)") as guard:
        orphan = int(first_line(guard))
        assert guard.wait(20) == 128 + signal.SIGKILL
    assert not psutil.pid_exists(orphan)


def test_a_stop_signal_ends_the_whole_tree() -> None:
    with guarded("time.sleep(600)") as guard:
        grandchild = int(first_line(guard))
        guard.terminate()
        assert guard.wait(20) == 0
    assert not psutil.pid_exists(grandchild)


def test_an_orphan_that_ends_while_the_command_lives_is_no_zombie() -> None:
    # The guard adopts it when its parent ends; nobody else can take note of its end.
    orphan = "subprocess.run(['sh', '-c', 'sleep 0.3 & echo $!'], check=True); time.sleep(600)"
    with guarded(orphan) as guard:
        try:
            first_line(guard)
            pid = int(first_line(guard))
            wait_for(lambda: not psutil.pid_exists(pid))
        finally:
            guard.terminate()


def test_the_exit_code_is_the_commands() -> None:
    with guarded("child.kill(); child.wait(); sys.exit(3)") as guard:
        assert guard.wait(20) == 3


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal")
def test_the_command_is_stopped_when_the_guard_is_killed() -> None:
    with guarded("time.sleep(600)") as guard:
        grandchild = psutil.Process(int(first_line(guard)))
        command = grandchild.parent()
        assert command is not None
        guard.kill()
        guard.wait(20)
        wait_for(lambda: not command.is_running() or command.status() == psutil.STATUS_ZOMBIE)
        grandchild.kill()
