"""What `up` starts, keeps, waits for and refuses."""

import os
import socket
import sys
from datetime import datetime

import psutil
import pytest

from loglake.errors import BadInputError, ServiceError
from stack import lifecycle, lock
from stack.service import Port
from tests.quietstack import Stack

pytestmark = pytest.mark.unit


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


def test_one_up_down_or_clean_at_a_time(stack: Stack) -> None:
    stack.runtime.mkdir()
    with lock.held(stack.runtime / "stack.lock", "the test"):
        for work in (stack.up, stack.down, lifecycle.clean):
            with pytest.raises(ServiceError, match=r"another `loglake up`, `down` or `clean` is at work on .*: wait for it"):
                work()
    assert not (stack.runtime / "secrets.env").exists()


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
