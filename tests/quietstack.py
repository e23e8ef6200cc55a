"""A stack of processes that do nothing in place of servers, under a real supervisor."""

import sys
from pathlib import Path

import pytest

from stack import lifecycle
from stack.daemon import Daemon
from stack.service import Service

SLEEP = (sys.executable, "-c", "import time; time.sleep(600)")


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
