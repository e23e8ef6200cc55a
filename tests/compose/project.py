"""The project of docker-compose.yaml under a name and on ports of the tests' own: everything goes through compose and the docker client."""

import json
import random
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from loglake.settings import PROJECT, settings
from stack import checks
from tests.compose.commands import run
from tests.compose.engine import Engine
from tests.waiting import wait_for

NAME = "loglake-test"
LABEL = f"label=com.docker.compose.project={NAME}"
#: The variables that say where a port is published, and the service and its port behind each.
PUBLISHED = {
    "LOGLAKE_PUBLISH_KAFKA": ("kafka", 29092),
    "LOGLAKE_PUBLISH_NAMENODE": ("namenode", 9870),
    "LOGLAKE_PUBLISH_POSTGRES": ("postgres", 5432),
    "LOGLAKE_PUBLISH_SPARK": ("spark-master", 8080),
    "LOGLAKE_PUBLISH_AIRFLOW": ("airflow-api", 8082),
    "LOGLAKE_PUBLISH_MONITOR": ("monitor", 8501),
}
#: Below the range the kernel gives to outgoing connections.
_PORT_RANGE = range(15_000, 32_000)


@dataclass(frozen=True)
class Container:
    """A container as `docker inspect` shows it, all of it in `details`."""

    service: str
    name: str
    state: str
    #: starting, healthy or unhealthy; empty without a health check.
    health: str
    #: How often its restart policy has acted.
    restarts: int
    details: dict[str, Any]

    @classmethod
    def of(cls, details: dict[str, Any]) -> "Container":
        """From that description."""
        state = details["State"]
        health = state.get("Health", {}).get("Status", "")
        service = details["Config"]["Labels"]["com.docker.compose.service"]
        return cls(service, details["Name"].lstrip("/"), state["Status"], health, details["RestartCount"], details)

    @property
    def is_one_shot(self) -> bool:
        """Whether it ends by itself, so that nothing restarts it."""
        return self.details["HostConfig"]["RestartPolicy"]["Name"] in ("", "no")


class Project:
    """The whole system as a user has it from `docker compose up` in a folder; two of them are the same containers and volumes."""

    def __init__(self, engine: Engine, environment: Mapping[str, str], folder: Path = PROJECT) -> None:
        self.engine = engine
        self.environment = {**engine.environment, **free_ports(), **environment}
        self._file = str(folder / "docker-compose.yaml")

    def compose(self, *arguments: str, timeout: float = 600, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run `docker compose ARGUMENTS` to its end; a .env of the machine's user has no say."""
        return run(self.command(*arguments), self.environment, check=check, timeout=timeout)

    def command(self, *arguments: str) -> tuple[str, ...]:
        """`docker compose ARGUMENTS` for this project."""
        named = ("--file", self._file, "--project-name", NAME, "--env-file", "/dev/null")
        return (*self.engine.compose, *named, "--progress", "plain", *arguments)

    def build(self) -> None:
        """Build the images; what the build cache holds is not built again."""
        self.compose("build", timeout=2400)

    def up(self, *services: str, seconds: int = 900) -> None:
        """Start services (all of them when none is named) and wait until they are healthy."""
        done = self.compose(
            "up", "--detach", "--no-build", "--wait", "--wait-timeout", str(seconds), *services, timeout=seconds + 60, check=False
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{self.why()}"

    def down(self, *, volumes: bool = False) -> None:
        """Stop and remove the containers and networks; the data too when `volumes`."""
        self.compose("--profile", "*", "down", "--remove-orphans", *(["--volumes"] if volumes else []))

    def exec(self, service: str, *command: str, timeout: float = 300, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command in the container of a service, as the user it runs as."""
        return self.compose("exec", "--no-TTY", service, *command, timeout=timeout, check=check)

    def cli(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `loglake ARGUMENTS` where the DAG's tasks run."""
        return self.exec("airflow-scheduler", "loglake", *arguments, check=False, timeout=600)

    def logs(self, service: str, lines: int = 60) -> str:
        """The end of what a service has said."""
        return self.compose("logs", "--no-color", "--no-log-prefix", "--tail", str(lines), service, check=False).stdout

    def why(self) -> str:
        """The states of all containers, and the logs of those that are not well; for a failed assertion."""
        found = self.containers().values()
        unwell = [
            one for one in found if one.restarts or one.health not in ("healthy", "") or (one.state != "running" and not one.is_one_shot)
        ]
        states = [f"{one.service}: {one.state} {one.health}, {one.restarts} restarts" for one in found]
        return "\n".join([*states, *(f"--- {one.service}\n{health_log(one)}\n{self.logs(one.service)}" for one in unwell)])

    def containers(self) -> dict[str, Container]:
        """The containers by service, those that have ended too; not those of `compose run`."""
        listed = self.engine.docker("ps", "--all", "--quiet", "--filter", LABEL, "--filter", "label=com.docker.compose.oneoff=False")
        ids = listed.stdout.split()
        found = [Container.of(details) for details in json.loads(self.engine.docker("inspect", *ids).stdout)] if ids else []
        return {one.service: one for one in sorted(found, key=lambda one: one.service)}

    def crash(self, service: str) -> int:
        """SIGKILL to every process of a service's container; how often it had been restarted before.

        From within, by its own user and spared by init alone, which then ends: `docker kill` would count as a stop that is wanted.
        """
        before = self.containers()[service].restarts
        self.exec(service, "sh", "-c", "kill -9 -1", check=False)
        return before

    def wait_restarted(self, service: str, before: int, seconds: float = 300) -> None:
        """Wait until the restart policy has acted since `crash` said `before`, and the service is healthy."""

        def back() -> bool:
            found = self.containers()[service]
            return found.restarts > before and found.health == "healthy"

        wait_for(lambda: f"{service} to be restarted and healthy\n{self.why()}\n{self.logs(service)}", back, seconds)

    def wait_healthy(self, seconds: float = 300) -> None:
        """Wait until every service that runs for long is healthy."""

        def well() -> bool:
            return all(one.health == "healthy" for one in self.containers().values() if not one.is_one_shot)

        wait_for(lambda: f"all to be healthy\n{self.why()}", well, seconds)

    def port(self, service: str) -> int:
        """The port of the machine behind which a service stands."""
        variable = next(name for name, (owner, _) in PUBLISHED.items() if owner == service)
        return int(self.environment[variable])

    def left(self) -> list[str]:
        """What the engine still has of this project: containers, networks and volumes."""
        listings = (("ps", "--all"), ("network", "ls"), ("volume", "ls"))
        return [line for listing in listings for line in self.engine.docker(*listing, "--quiet", "--filter", LABEL).stdout.splitlines()]


@contextmanager
def gone_afterwards(project: Project) -> Iterator[None]:
    """Nothing of a project is there before the block, nor after it."""
    project.down(volumes=True)
    try:
        yield
    finally:
        project.down(volumes=True)
        assert project.left() == []


@contextmanager
def client_of(project: Project) -> Iterator[None]:
    """In the block this process's settings are those of a client of the published ports."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOGLAKE_AIRFLOW_PORT", str(project.port("airflow-api")))
        settings.cache_clear()
        yield
    settings.cache_clear()


def free_ports() -> dict[str, str]:
    """A free port for each published one."""
    candidates = (port for port in random.sample(_PORT_RANGE, 500) if checks.free(port))
    return {name: str(port) for name, port in zip(PUBLISHED, candidates, strict=False)}


def health_log(container: Container) -> str:
    """What the last health checks of a container said."""
    log: Iterable[dict[str, Any]] = container.details["State"].get("Health", {}).get("Log") or []
    return "\n".join(f"health check, exit {entry['ExitCode']}: {entry['Output'].strip()[-500:]}" for entry in log)
