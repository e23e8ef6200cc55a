"""What the stack knows of a server: how it is started, when it is healthy, how it is stopped."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from pydantic_settings import BaseSettings

from loglake import clients
from loglake.settings import PROJECT

#: Takes the time (UTC) the process was started; answers what is still lacking in one line, or "" when healthy.
#: What its clients raise (`clients.ERRORS`) says the same.
Probe = Callable[[datetime], str]


def nothing() -> None:
    """The step of a service that needs none."""


@dataclass(frozen=True)
class Port:
    """A TCP port a server listens on, and the environment variable that changes it."""

    number: int
    setting: str

    @classmethod
    def of(cls, config: BaseSettings, name: str) -> "Port":
        """The port in field `name` of a settings object."""
        return cls(getattr(config, name), f"{config.model_config['env_prefix']}{name}".upper())


@dataclass(frozen=True)
class Service:
    """One long-running process of the stack. Its first port is the one `status` shows.

    `prepare` runs before each start (write configuration, format storage), `complete` once the probe is content
    (create roles, topics); both must be harmless when repeated and raise ServiceError with one clear line.
    It is started when the services named in `after` are healthy, as far as they are of this stack.
    An exit with one of `final_exit_codes` is the program's own decision: it is not started again.
    """

    name: str
    title: str
    command: tuple[str, ...]
    probe: Probe
    after: tuple[str, ...] = ()
    ports: tuple[Port, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    directory: Path = PROJECT
    url: str = ""
    prepare: Callable[[], None] = nothing
    complete: Callable[[], None] = nothing
    gate_seconds: float = 120.0
    stop_signal: str = "TERM"
    stop_seconds: int = 30
    #: Send the stop signal to the whole process group; False for a server that stops its own children in order.
    stop_group: bool = True
    final_exit_codes: tuple[int, ...] = ()

    def lacks(self, started: datetime) -> str:
        """What the service, whose process was started then, lacks to be healthy, in one line; "" for nothing."""
        try:
            return self.probe(started)
        except clients.ERRORS as error:
            return clients.one_line(error)
