"""What `down` and `clean` end and leave, also after something was killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from loglake.errors import ServiceError
from stack import lifecycle
from stack.config import MARK
from stack.daemon import ShuttingDownError
from stack.service import Service
from tests.quietstack import SLEEP, Stack
from tests.waiting import wait_for

pytestmark = pytest.mark.unit
#: Takes three seconds to stop; says that it is ready by the file `ready` beside it.
SLOW_TO_STOP = """
import pathlib, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (time.sleep(3), sys.exit()))
pathlib.Path(__file__).with_name("ready").touch()
time.sleep(600)
"""


def supervisor(stack: Stack) -> psutil.Process:
    return psutil.Process(int((stack.runtime / "supervisord.pid").read_text()))


def test_up_after_the_supervisor_was_killed_ends_its_orphans(stack: Stack) -> None:
    orphans = stack.up()
    supervisor(stack).kill()

    with pytest.raises(ServiceError, match="the stack is up: run `loglake down` first"):
        lifecycle.clean()
    again = stack.up()

    assert not set(orphans.values()) & set(again.values())
    assert not any(psutil.pid_exists(pid) for pid in orphans.values())


def test_down_after_the_supervisor_was_killed_ends_its_orphans(stack: Stack) -> None:
    orphans = stack.up()
    killed = supervisor(stack)
    killed.kill()
    wait_for("the supervisor to be gone", lambda: not killed.is_running() or killed.status() == psutil.STATUS_ZOMBIE)

    assert stack.down() == ([], len(orphans))


def test_down_does_not_wait_for_a_zombie(stack: Stack) -> None:
    # As in a container whose first process takes no note of the end of those it adopts.
    stack.up("first")
    marked = {**os.environ, MARK: str(stack.runtime)}
    careless = f"import subprocess, time; subprocess.Popen({SLEEP!r}, env={marked!r}, start_new_session=True); time.sleep(600)"
    with subprocess.Popen((sys.executable, "-c", careless)) as parent:
        wait_for("a child", lambda: psutil.Process(parent.pid).children())
        (stray,) = psutil.Process(parent.pid).children()
        wait_for("the child to be known", lambda: stray in stack.daemon.family())
        began = time.monotonic()

        assert stack.down() == (["first"], 1)

        assert time.monotonic() - began < 8
        assert stray.status() == psutil.STATUS_ZOMBIE
        parent.kill()


def test_down_waits_for_a_supervisor_that_is_ending_already(stack: Stack, tmp_path: Path) -> None:
    program = tmp_path / "slow.py"
    program.write_text(SLOW_TO_STOP)
    stack.services[1] = stack.service("second", command=(sys.executable, str(program)))
    pids = stack.up()
    wait_for("the slow service to be ready", program.with_name("ready").exists)
    supervisor(stack).terminate()
    with pytest.raises(ShuttingDownError, match="supervisor is shutting down: run `loglake down`"):
        wait_for("the supervisor to say that it ends", lambda: not stack.daemon.processes())

    assert stack.down() == ([], 0)

    assert not any(psutil.pid_exists(pid) for pid in pids.values())


def test_down_needs_nothing_that_a_start_needs(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_java() -> tuple[Service, ...]:
        raise ServiceError("no java in PATH")

    stack.up()
    monkeypatch.setattr(lifecycle, "all_services", no_java)

    assert stack.down() == (["second", "first"], 0)


def test_stopping_what_has_just_ended_is_no_error(stack: Stack) -> None:
    pid = stack.up("first")["first"]
    stack.daemon.stop_process("first")

    stack.daemon.stop_process("first")

    assert not psutil.pid_exists(pid)


def test_clean_keeps_the_jars_and_what_is_not_its_own(stack: Stack) -> None:
    stack.up("first")
    mine, jar, data = stack.runtime / "notes.txt", stack.runtime / "jars" / "a.jar", stack.runtime / "data" / "x"
    for path in (mine, jar, data):
        path.parent.mkdir(exist_ok=True)
        path.touch()
    with pytest.raises(ServiceError, match="the stack is up"):
        lifecycle.clean()
    stack.down()

    lifecycle.clean()

    assert sorted(path.name for path in stack.runtime.iterdir()) == ["jars", "notes.txt", "stack.lock"]


def test_a_killed_service_is_started_again(stack: Stack) -> None:
    pid = stack.up("first")["first"]

    os.kill(pid, signal.SIGKILL)

    wait_for("the service to be started again", lambda: stack.daemon.process("first").pid not in {0, pid})
