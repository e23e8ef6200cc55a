"""up, down and clean under a real supervisor, with processes that do nothing in place of servers: what is killed, and then run again."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import psutil
import pytest

from loglake.errors import BadInputError, ServiceError
from loglake.settings import settings
from stack import lifecycle, lock
from stack.config import MARK
from stack.daemon import Daemon, ShuttingDownError
from stack.service import Port, Service

pytestmark = pytest.mark.unit

SLEEP = (sys.executable, "-c", "import time; time.sleep(600)")
#: Takes three seconds to stop; says that it is ready by the file `ready` beside it.
SLOW_TO_STOP = """
import pathlib, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (time.sleep(3), sys.exit()))
pathlib.Path(__file__).with_name("ready").touch()
time.sleep(600)
"""


class Stack:
    """A stack of the test's own services, the calls of `up` recorded."""

    def __init__(self, runtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.runtime = runtime
        self.services: list[Service] = [self.service("first"), self.service("second")]
        self.told: list[tuple[str, str]] = []
        self.daemon = Daemon(runtime)
        monkeypatch.setattr(lifecycle, "all_services", lambda: tuple(self.services))

    def service(self, name: str, **changes: object) -> Service:
        values: dict[str, object] = {"name": name, "title": "", "command": SLEEP, "probe": lambda _: "", "gate_seconds": 10.0, **changes}
        return Service(**values)  # type: ignore[arg-type]

    def up(self, *names: str) -> dict[str, int]:
        """Bring it up; the pids of its processes."""
        self.told.clear()
        lifecycle.up(names, lambda service, what, _seconds: self.told.append((service.name, what)))
        return {name: process.pid for name, process in self.daemon.processes().items() if process.pid}

    def down(self) -> tuple[list[str], int]:
        """Take it down; the services in the order they were stopped, and the number of strays."""
        stopped: list[str] = []
        return stopped, lifecycle.down(stopped.append)


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    monkeypatch.setenv("LOGLAKE_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.setenv("LOGLAKE_MIN_FREE_DISK_GIB", "0")
    settings.cache_clear()
    stack = Stack(tmp_path / "runtime", monkeypatch)
    yield stack
    stack.down()
    assert stack.daemon.family() == []
    settings.cache_clear()


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def supervisor(stack: Stack) -> psutil.Process:
    return psutil.Process(int((stack.runtime / "supervisord.pid").read_text()))


def test_up_twice_keeps_what_runs_and_down_stops_it_in_reverse(stack: Stack) -> None:
    pids = stack.up()
    assert stack.up() == pids
    assert [what for _, what in stack.told if what != "starting"] == ["kept", "kept"]

    assert stack.down() == (["second", "first"], 0)

    assert not any(psutil.pid_exists(pid) for pid in pids.values())
    assert stack.down() == ([], 0)


def test_services_come_up_together_and_each_after_what_it_needs(stack: Stack) -> None:
    def healthy_once_the_other_lives(_started: datetime) -> str:
        return "" if stack.daemon.process("second").pid else "the other one was not started"

    stack.services = [
        stack.service("first", probe=healthy_once_the_other_lives),
        stack.service("second"),
        stack.service("third", after=("first", "second", "elsewhere")),
    ]

    stack.up()

    begun = stack.told.index(("third", "starting"))
    assert {told for told in stack.told[:begun] if told[1] == "running"} == {("first", "running"), ("second", "running")}


def test_what_dies_in_its_start_is_one_line_and_the_next_up_goes_on(stack: Stack) -> None:
    dying = (sys.executable, "-c", "import sys; sys.exit('ERROR the disk is full')")
    stack.services[1] = stack.service("second", command=dying, probe=lambda _: "not yet")
    with pytest.raises(ServiceError, match=r"second ended while it was starting \(ERROR the disk is full\); see `loglake logs second`"):
        stack.up()
    first = stack.daemon.process("first").pid

    stack.services[1] = stack.service("second")

    assert stack.up()["first"] == first
    assert stack.told[-1] == ("second", "running")


def test_what_is_not_healthy_in_time_is_stopped_and_said(stack: Stack) -> None:
    def refuses(_started: datetime) -> str:
        raise ConnectionRefusedError("connection\nrefused")

    stack.services[0] = stack.service("first", probe=refuses, gate_seconds=0.5)

    with pytest.raises(ServiceError, match=r"first is not healthy after 0 s: connection refused"):
        stack.up()

    assert stack.daemon.process("first").state == "STOPPED"


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
    wait_for(lambda: not killed.is_running() or killed.status() == psutil.STATUS_ZOMBIE)

    assert stack.down() == ([], len(orphans))


def test_down_does_not_wait_for_a_zombie(stack: Stack) -> None:
    # As in a container whose first process takes no note of the end of those it adopts.
    stack.up("first")
    marked = {**os.environ, MARK: str(stack.runtime)}
    careless = f"import subprocess, time; subprocess.Popen({SLEEP!r}, env={marked!r}, start_new_session=True); time.sleep(600)"
    with subprocess.Popen((sys.executable, "-c", careless)) as parent:
        wait_for(lambda: psutil.Process(parent.pid).children())
        (stray,) = psutil.Process(parent.pid).children()
        wait_for(lambda: stray in stack.daemon.family())
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
    wait_for(program.with_name("ready").exists)
    supervisor(stack).terminate()
    with pytest.raises(ShuttingDownError, match="supervisor is shutting down: run `loglake down`"):
        wait_for(lambda: not stack.daemon.processes())

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


def test_one_up_down_or_clean_at_a_time(stack: Stack) -> None:
    stack.runtime.mkdir()
    with lock.held(stack.runtime / "stack.lock", "the test"):
        for work in (stack.up, stack.down, lifecycle.clean):
            with pytest.raises(ServiceError, match=r"another `loglake up`, `down` or `clean` is at work on .*: wait for it"):
                work()
    assert not (stack.runtime / "secrets.env").exists()


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


def test_a_service_described_otherwise_is_refused_while_it_runs_and_taken_in_when_it_does_not(stack: Stack) -> None:
    stack.up("first")
    for name in ("first", "second"):
        stack.services[name == "second"] = stack.service(name, environment={"CHANGED": "yes"})
    with pytest.raises(ServiceError, match="first was started with other settings: run `loglake down`, then `loglake up`"):
        stack.up()

    stack.services[0] = stack.service("first")

    assert set(stack.up()) == {"first", "second"}


def test_a_taken_port_stops_up_before_anything_is_started(stack: Stack) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        stack.services[1] = stack.service("second", ports=(Port(server.getsockname()[1], "LOGLAKE_X_PORT"),))
        with pytest.raises(ServiceError, match=rf"\(second\) is taken by pid {os.getpid()} .*set LOGLAKE_X_PORT"):
            stack.up()
    assert not stack.daemon.running()


def test_files_with_secrets_are_the_owners_alone(stack: Stack) -> None:
    stack.up("first")

    for name in ("secrets.env", "supervisord.conf"):
        assert (stack.runtime / name).stat().st_mode & 0o777 == 0o600, name


def test_an_unknown_service_leaves_no_trace(stack: Stack) -> None:
    with pytest.raises(BadInputError, match="no service 'third': there are first, second"):
        stack.up("third")
    assert not stack.runtime.exists()


def test_a_killed_service_is_started_again(stack: Stack) -> None:
    pid = stack.up("first")["first"]

    os.kill(pid, signal.SIGKILL)

    wait_for(lambda: stack.daemon.process("first").pid not in {0, pid})
