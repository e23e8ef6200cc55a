"""Bring the stack up, each service behind the health gates of those it needs, and take it down again without a trace."""

import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass

from loglake.errors import BadInputError, ServiceError
from loglake.settings import generate_secrets, settings
from stack import checks, config, lock, logs
from stack.daemon import Daemon, Process, ShuttingDownError
from stack.service import Service
from stack.services import services as all_services

_POLL_SECONDS = 0.2
#: What the stack and the stages keep in the runtime folder. Named one by one: the folder may hold files of the user's too.
_STATE = ("data", "logs", "conf", "airflow", "replay", "pools", "secrets.env", "supervisord.conf", "supervisord.pid", "supervisor.sock")
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
    services = all_services()
    wanted = select(services, names)
    checks.distinct_ports(services)
    with _alone():
        generate_secrets()
        runtime = settings().runtime
        runtime.logs_dir.mkdir(parents=True, exist_ok=True)
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
        _start_all(daemon, wanted, report)
    return wanted


def down(report: Callable[[str], None]) -> int:
    """Stop everything in reverse order; returns the number of stray processes that had to be ended as well."""
    runtime = settings().runtime.runtime_dir
    if not runtime.exists():
        return 0
    with _alone():
        daemon = Daemon(runtime)
        family = daemon.family()
        if daemon.running():
            with suppress(ShuttingDownError):
                _stop_all(daemon, report)
            daemon.shut_down()
        return daemon.end(family) + daemon.end(daemon.family())


def clean() -> None:
    """Delete what the stack and the stages made, but for the jars; ServiceError while a process of the stack is there."""
    runtime = settings().runtime.runtime_dir
    if not runtime.exists():
        return
    with _alone():
        daemon = Daemon(runtime)
        if daemon.running() or daemon.family():
            raise ServiceError("the stack is up: run `loglake down` first")
        for path in (runtime / name for name in _STATE):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _stop_all(daemon: Daemon, report: Callable[[str], None]) -> None:
    order = daemon.order()
    living = [process.name for process in daemon.processes().values() if _lives(process)]
    for name in sorted(living, key=lambda name: order.index(name) if name in order else -1, reverse=True):
        daemon.stop_process(name)
        report(name)


@dataclass(frozen=True)
class _Start:
    """A service whose process was started (or is kept, as it ran before), and whose gate is still closed."""

    service: Service
    kept: bool
    begun: float
    deadline: float
    process: Process


def _start_all(daemon: Daemon, wanted: Sequence[Service], report: Report) -> None:
    """Start each service once those it needs are healthy; several come up at a time."""
    waiting, starting = list(wanted), list[_Start]()
    while waiting or starting:
        lacking = {service.name for service in (*waiting, *(start.service for start in starting))}
        for service in [service for service in waiting if lacking.isdisjoint(service.after)]:
            waiting.remove(service)
            starting.append(_start(daemon, service, report))
        for start in [start for start in starting if _passed(daemon, start)]:
            starting.remove(start)
            start.service.complete()
            report(start.service, "kept" if start.kept else "running", time.monotonic() - start.begun)
        if starting:
            time.sleep(_POLL_SECONDS)


def _start(daemon: Daemon, service: Service, report: Report) -> _Start:
    begun = time.monotonic()
    kept = _lives(daemon.process(service.name))
    report(service, "starting", 0.0)
    if not kept:
        service.prepare()
        daemon.start_process(service.name)
    return _Start(service, kept, begun, time.monotonic() + service.gate_seconds, daemon.process(service.name))


def _passed(daemon: Daemon, start: _Start) -> bool:
    """Whether the service's probe is content; when it died or takes too long, stop it and raise ServiceError."""
    service = start.service
    if not (lacking := service.lacks(start.process.started)):
        return True
    now = daemon.process(service.name)
    died = not _lives(now) or now.state == "BACKOFF" or now.pid != start.process.pid
    if died or time.monotonic() > start.deadline:
        if _lives(now):
            daemon.stop_process(service.name)
        said = logs.last_problem(settings().runtime.logs_dir / f"{service.name}.log")
        what = "ended while it was starting" if died else f"is not healthy after {service.gate_seconds:.0f} s: {lacking}"
        raise ServiceError(f"{service.name} {what}{f' ({said})' if said else ''}; see `loglake logs {service.name}`")
    return False


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


def _alone() -> AbstractContextManager[None]:
    """One `up`, `down` or `clean` at a time in a runtime folder."""
    runtime = settings().runtime.runtime_dir
    return lock.held(runtime / "stack.lock", f"another `loglake up`, `down` or `clean` is at work on {runtime}")
