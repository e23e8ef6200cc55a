"""An embedded stack of the tests' own: free ports, a temporary runtime folder, the jars of the developer's."""

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from loglake.settings import settings
from stack import checks
from stack.config import MARK
from stack.daemon import Daemon
from stack.services import services
from tests.waiting import wait_for

CORE = ("postgres", "kafka", "namenode", "datanode", "spark-master", "spark-worker")
LAKE_STREAM = ("lake-stream",)
LIVE_STREAM = ("live-stream",)
AIRFLOW = ("airflow-api", "airflow-scheduler", "airflow-dag-processor")
#: Not a setting: where a test may listen as Slack.
SLACK_PORT = "SLACK_PORT"
#: Ports that no service of the stack declares as its own, but that two stacks must not share.
_OTHER_PORTS = ("LOGLAKE_STREAM_UI_PORT", "LOGLAKE_SMTP_PORT", SLACK_PORT)
#: A JVM of a test lives for seconds or minutes: what the optimizing compiler costs, it does not bring in again.
_SHORT_LIVED = "-XX:TieredStopAtLevel=1"
#: Below the range the kernel gives to outgoing connections, so that a port stays free while its server restarts.
_PORT_RANGE = range(15_000, 32_000)


@dataclass(frozen=True)
class EmbeddedStack:
    """A stack as a user has it: everything goes through the command line."""

    runtime: Path
    environment: Mapping[str, str]

    def cli(self, *arguments: str, timeout: float = 600, **extra: str) -> subprocess.CompletedProcess[str]:
        """Run `loglake ARGUMENTS` on this stack to its end."""
        command = [str(Path(sys.executable).with_name("loglake")), *arguments]
        environment = {**os.environ, **self.environment, **extra}
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=timeout, check=False, stdin=subprocess.DEVNULL
        )

    def start(self, names: Iterable[str]) -> None:
        """Start services and wait for their health gates; what runs is kept."""
        done = self.cli("up", "--only", ",".join(names), LOGLAKE_LINEAGE_TO=str(self.lineage), JAVA_TOOL_OPTIONS=_SHORT_LIVED)
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{self.all_logs()}"

    @property
    def lineage(self) -> Path:
        """The file with the lineage of the stream and of Airflow's runs; what is run by hand tells nobody."""
        return self.runtime / "lineage.jsonl"

    def rows(self) -> dict[str, dict[str, Any]]:
        """What `loglake status --json` says, by service."""
        return {row["service"]: row for row in json.loads(self.cli("status", "--json").stdout)}

    def pid(self, name: str) -> int:
        """The process id of a running service."""
        return Daemon(self.runtime).process(name).pid

    def kill(self, name: str, number: int = signal.SIGKILL) -> int:
        """Send a signal (kill -9 by default) to a service's process, and return the pid it had."""
        pid = self.pid(name)
        os.kill(pid, number)
        return pid

    def stop(self, name: str) -> None:
        """Stop one service in order; `start` brings it back."""
        Daemon(self.runtime).stop_process(name)

    def wait_healthy(self, name: str, *, not_pid: int = 0, seconds: float = 300) -> dict[str, Any]:
        """Wait until a service is running with another pid than `not_pid`, and its health gate is content."""

        def healthy() -> dict[str, Any] | None:
            row = self.rows()[name]
            return row if row["state"] == "running" and row["pid"] != not_pid else None

        def started() -> bool:
            process = Daemon(self.runtime).process(name)
            return process.state == "RUNNING" and process.pid != not_pid

        wait_for(f"{name} to be started again", started, seconds)
        return wait_for(lambda: f"{name} to be healthy: {self.rows()[name]}\n{self.log(name)}", healthy, seconds)

    def log_lines(self, name: str) -> list[str]:
        """The whole log of a service, by line."""
        path = self.runtime / "logs" / f"{name}.log"
        return path.read_text(errors="replace").splitlines() if path.exists() else ["(no log)"]

    def log(self, name: str) -> str:
        """The end of a service's log, for a failed assertion."""
        return "\n".join(self.log_lines(name)[-40:])

    def all_logs(self) -> str:
        """The end of every log, for a failed assertion."""
        names = sorted(path.stem for path in (self.runtime / "logs").glob("*.log"))
        return "\n".join(f"--- {name}\n{self.log(name)}" for name in names)

    def family(self) -> list[psutil.Process]:
        """Every process that belongs to this stack."""
        return Daemon(self.runtime).family()


def free_ports() -> dict[str, str]:
    """A free port for each setting that names one; each xdist worker (gw0, gw1, …) takes ports that no other one does."""
    mine = _PORT_RANGE[int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) :: int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))]
    names = [port.setting for service in services() for port in service.ports] + list(_OTHER_PORTS)
    candidates = (port for port in random.sample(mine, 500) if checks.free(port))
    return {name: str(port) for name, port in zip(names, candidates, strict=False)}


def stack_environment(runtime: Path) -> dict[str, str]:
    """The settings that set a test's stack apart from any other on the machine."""
    ports = free_ports()
    slack = ports.pop(SLACK_PORT)
    return {
        **ports,
        "LOGLAKE_RUNTIME_DIR": str(runtime),
        "LOGLAKE_JARS_DIR": str(settings().runtime.jars_dir),
        "LOGLAKE_STREAM_TRIGGER_SECONDS": "2",
        # Of a job's driver; unlike JAVA_TOOL_OPTIONS it prints nothing.
        "SPARK_SUBMIT_OPTS": _SHORT_LIVED,
        # So that a test need not wait for minutes until a window is closed.
        "LOGLAKE_LIVE_LATENESS_SECONDS": "10",
        # Tests trigger the DAG themselves; a scheduled run would load what another test is counting.
        "LOGLAKE_AIRFLOW_SCHEDULE": "0 0 1 1 *",
        "LOGLAKE_MAINTENANCE_SCHEDULE": "0 0 1 1 *",
        "LOGLAKE_ALERT_SCHEDULE": "0 0 1 1 *",
        "LOGLAKE_ALERT_DIGEST_SCHEDULE": "0 0 1 1 *",
        # Nobody listens there but a test that takes Slack's place.
        "LOGLAKE_SLACK_WEBHOOK_URL": f"http://127.0.0.1:{slack}/services/T0/B0/secret",
    }


@contextmanager
def embedded_stack(runtime: Path) -> Iterator[EmbeddedStack]:
    """A stack with nothing started yet; at the end all of it is stopped, and no process may be left."""
    stack = EmbeddedStack(runtime, stack_environment(runtime))
    assert MARK not in os.environ, "the tests run inside a stack and would be taken for a part of it"
    try:
        yield stack
    finally:
        stopped = stack.cli("down")
        assert stopped.returncode == 0, stopped.stderr
        assert stack.family() == []
