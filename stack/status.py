"""What `loglake status` shows: each service's state, as supervisor and its health gate see it."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

from loglake.settings import settings
from stack import logs
from stack.daemon import Daemon, Process
from stack.service import Service
from stack.services import services as all_services

_STATES = {"BACKOFF": "restarting", "FATAL": "failed"}


@dataclass(frozen=True)
class Row:
    """One service: state is running, starting, unhealthy, restarting, failed, exited, stopping or stopped."""

    service: str
    title: str
    state: str
    port: int | None
    pid: int | None
    uptime_seconds: float | None
    restarts: int
    last_error: str
    url: str


def status() -> list[Row]:
    """Every service in starting order, whether the stack is up or not; health gates are asked at the same time."""
    runtime = settings().runtime
    daemon = Daemon(runtime.runtime_dir)
    known = daemon.processes() if daemon.running() else {}
    record = logs.exits(logs.tail(runtime.logs_dir / "supervisord.log", 100_000)) if known else {}
    services = all_services()
    with ThreadPoolExecutor(len(services)) as pool:
        lacking = list(pool.map(lambda service: _lacking(service, known.get(service.name)), services))
    return [
        row(service, known.get(service.name), lack, record.get(service.name, logs.Exits()), datetime.now(UTC))
        for service, lack in zip(services, lacking, strict=True)
    ]


def row(service: Service, process: Process | None, lacking: str, exits: logs.Exits, now: datetime) -> Row:
    """One row from what supervisor says, what the probe finds lacking, and the record of exits."""
    state = _STATES.get(process.state, process.state.lower()) if process else "stopped"
    if state == "running" and lacking:
        state = "unhealthy"
    if state == "starting" and process and process.pid and not lacking:
        # supervisor calls it so for its first seconds, also when its health gate is open already
        state = "running"
    alive = process is not None and process.pid > 0
    return Row(
        service=service.name,
        title=service.title,
        state=state,
        port=service.ports[0].number if service.ports else None,
        pid=process.pid if process and alive else None,
        uptime_seconds=(now - process.started).total_seconds() if process and alive else None,
        restarts=exits.count,
        last_error=lacking or (process.problem if process else "") or exits.last,
        url=service.url,
    )


def _lacking(service: Service, process: Process | None) -> str:
    if process is None or process.state == "STOPPED":
        return ""
    if process.state in {"FATAL", "EXITED", "BACKOFF"}:
        return logs.last_problem(settings().runtime.logs_dir / f"{service.name}.log")
    return service.lacks(process.started)
