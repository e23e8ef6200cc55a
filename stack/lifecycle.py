"""Bring the stack up, one service behind the other's health gate, and take it down again without a trace."""

import fcntl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from loglake.errors import BadInputError, ServiceError
from loglake.settings import generate_secrets, settings
from stack import checks, config, logs
from stack.daemon import Daemon, Process
from stack.service import Service
from stack.services import services as all_services

_POLL_SECONDS = 0.2
#: Called with a service, what became of it (starting, running, kept), and the seconds that took.
Report = Callable[[Service, str, float], None]


def select(services: Sequence[Service], names: Sequence[str]) -> tuple[Service, ...]:
    """The named services in their starting order, all when none is named; BadInputError on a name that is none."""
    known = {service.name for service in services}
    for name in names:
        if name not in known:
            raise BadInputError(f"no service {name!r}: there are {', '.join(service.name for service in services)}")
    return tuple(service for service in services if not names or service.name in names)


def up(names: Sequence[str], report: Report) -> tuple[Service, ...]:
    """Start the named services (all when none is named), each behind its gate; what runs already is kept.

    ServiceError names the service that did not become healthy, or the port or disk that forbids it.
    """
    generate_secrets()
    runtime = settings().runtime
    services = all_services()
    wanted = select(services, names)
    runtime.logs_dir.mkdir(parents=True, exist_ok=True)
    with _alone(runtime.runtime_dir):
        daemon = Daemon(runtime.runtime_dir)
        _write_config(daemon, services)
        if daemon.running():
            _take_in_changes(daemon)
        else:
            daemon.end(daemon.family())
        known = daemon.processes() if daemon.running() else {}
        idle = [service for service in wanted if not _lives(known.get(service.name))]
        checks.disk(runtime.runtime_dir, runtime.min_free_disk_gib)
        checks.ports(idle)
        if not daemon.running():
            daemon.start()
        for service in wanted:
            _start(daemon, service, report)
    return wanted


def down(report: Callable[[str], None]) -> int:
    """Stop everything in reverse order; returns the number of stray processes that had to be ended as well."""
    runtime = settings().runtime.runtime_dir
    if not runtime.exists():
        return 0
    with _alone(runtime):
        daemon = Daemon(runtime)
        family = daemon.family()
        if daemon.running():
            order = [service.name for service in all_services()]
            living = [process.name for process in daemon.processes().values() if _lives(process)]
            for name in sorted(living, key=lambda name: order.index(name) if name in order else -1, reverse=True):
                daemon.stop_process(name)
                report(name)
            daemon.shut_down()
        return daemon.end(family) + daemon.end(daemon.family())


def _start(daemon: Daemon, service: Service, report: Report) -> None:
    begun = time.monotonic()
    kept = _lives(daemon.process(service.name))
    report(service, "starting", 0.0)
    if not kept:
        service.prepare()
        daemon.start_process(service.name)
    _gate(daemon, service)
    service.complete()
    report(service, "kept" if kept else "running", time.monotonic() - begun)


def _gate(daemon: Daemon, service: Service) -> None:
    """Wait until the service's probe is content; stop it and raise ServiceError when it dies or takes too long."""
    first = daemon.process(service.name)
    deadline = time.monotonic() + service.gate_seconds
    while lacking := service.probe(first.started):
        now = daemon.process(service.name)
        died = not _lives(now) or now.state == "BACKOFF" or now.pid != first.pid
        if died or time.monotonic() > deadline:
            if _lives(now):
                daemon.stop_process(service.name)
            said = logs.last_problem(settings().runtime.logs_dir / f"{service.name}.log")
            what = "ended while it was starting" if died else f"is not healthy after {service.gate_seconds:.0f} s: {lacking}"
            raise ServiceError(f"{service.name} {what}{f' ({said})' if said else ''}; see `loglake logs {service.name}`")
        time.sleep(_POLL_SECONDS)


def _lives(process: Process | None) -> bool:
    return process is not None and process.state in {"STARTING", "RUNNING", "BACKOFF"}


def _write_config(daemon: Daemon, services: Sequence[Service]) -> None:
    text = config.render(services, settings().runtime.runtime_dir, settings().runtime.logs_dir)
    draft = daemon.config.with_suffix(".new")
    draft.touch(mode=0o600)
    draft.write_text(text)
    draft.rename(daemon.config)


def _take_in_changes(daemon: Daemon) -> None:
    """Let a running daemon know services that are new or changed; a changed one must not be running."""
    added, changed = daemon.reload()
    processes = daemon.processes()
    running = [name for name in changed if _lives(processes.get(name))]
    if running:
        raise ServiceError(f"{', '.join(running)} was started with other settings: run `loglake down`, then `loglake up`")
    for name in added:
        daemon.add(name)
    for name in changed:
        daemon.add(name, replace=True)


@contextmanager
def _alone(runtime: Path) -> Iterator[None]:
    """One `up` or `down` at a time in a runtime folder; the lock ends with the process."""
    with (runtime / "stack.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ServiceError(f"another `loglake up` or `down` is at work on {runtime}: wait for it") from error
        yield
