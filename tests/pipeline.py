"""Driving the whole pipeline in tests, as a user does: through the command line, waiting for conditions."""

import json
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from loglake import clients, orchestrate, topic
from loglake.settings import settings
from producers import ledger
from tests.stackfixture import EmbeddedStack
from tests.waiting import wait_for

_REPORTED_WITHIN_SECONDS = 20


class Commands(Protocol):
    """A system that `loglake` can be run on, embedded or in containers."""

    def cli(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run `loglake ARGUMENTS` to its end."""


def query(statement: str, *parameters: object, role: str = "monitor") -> list[tuple[Any, ...]]:
    """Rows from the warehouse of the stack under test."""
    with clients.postgres(role) as connection:
        return connection.execute(statement, parameters).fetchall()  # type: ignore[call-overload]


def scalar(statement: str, *parameters: object) -> Any:
    return query(statement, *parameters)[0][0]


def run(stack: Commands, *arguments: str) -> str:
    """A command that must succeed; its standard output."""
    done = stack.cli(*arguments)
    assert done.returncode == 0, f"loglake {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def popen(stack: EmbeddedStack, *arguments: str) -> "subprocess.Popen[str]":
    """A command started in the background."""
    command = [str(Path(sys.executable).with_name("loglake")), *arguments]
    return subprocess.Popen(command, env=dict(stack.environment), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def books(stack: Commands) -> dict[str, Any]:
    """The books, whether they balance or not."""
    done = stack.cli("reconcile", "--json")
    assert done.returncode in (0, 1), done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert (done.returncode == 0) is found["balanced"]
    return found


def in_lake(found: dict[str, Any]) -> int:
    return int(found["lake"]["good"] + found["lake"]["rejected"])


def wait_in_lake(stack: Commands, seconds: float = 300) -> dict[str, Any]:
    """Wait until the lake holds every record of the topic; the books then."""

    def complete() -> dict[str, Any] | None:
        found = books(stack)
        held = sum(
            partition["rows"] + partition["erased"] + partition["retired"]
            for partition in found["lake"]["topics"].get(found["topic"], {}).values()
        )
        return found if held == sum(bounds["end"] for bounds in found["kafka"].values()) else None

    if isinstance(stack, EmbeddedStack) and stack.runtime == settings().runtime.runtime_dir:
        _let_the_stream_read()
    result: dict[str, Any] = wait_for("the lake to hold every record of the topic", complete, seconds)
    return result


def _let_the_stream_read() -> None:
    """Ask the stream's own reports for a while first: the books are a process each time, which would take the stream's processor.

    Not for longer: what a stream that was killed did not report any more may be in the lake all the same.
    """
    deadline = time.monotonic() + _REPORTED_WITHIN_SECONDS
    while time.monotonic() < deadline:
        with suppress(*clients.ERRORS):
            if topic.lake_lag(settings().kafka.topic) == 0:
                return
        time.sleep(0.5)


def load(stack: Commands) -> dict[str, Any]:
    """One load; its result."""
    result: dict[str, Any] = json.loads(run(stack, "load", "--json").splitlines()[-1])
    return result


def generate(stack: EmbeddedStack, path: Path, *options: str) -> ledger.Truth:
    """Send generated events; what the ledger says must come out."""
    run(stack, "generate", "--ledger", str(path), *options)
    return ledger.truth(ledger.read(path))


def exactly_once(found: dict[str, Any]) -> None:
    """Promise 1: each offset of each partition is in the lake once."""
    for number, bounds in found["kafka"].items():
        held = found["lake"]["topics"][found["topic"]][number]
        assert (held["first"], held["last"], held["rows"] + held["erased"], held["repeated"]) == (0, bounds["end"] - 1, bounds["end"], 0), (
            number
        )


def run_dag(stack: EmbeddedStack) -> list[orchestrate.TaskUpdate]:
    """Trigger the batch DAG of the stack under test and follow it to its end; every change of a task's state."""
    assert stack.runtime == settings().runtime.runtime_dir
    return list(orchestrate.run_batch())
