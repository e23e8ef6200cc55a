"""The Prometheus end point as a service of the stack."""

import sys
from datetime import datetime

from loglake import clients
from loglake.errors import ServiceError
from loglake.settings import settings
from stack.service import Port, Service

#: What the end point says of its own process, without asking any server.
_OWN = "process_start_time_seconds"


def service() -> Service:
    config = settings().metrics
    return Service(
        name="metrics",
        title="Prometheus end point",
        command=(sys.executable, "-m", "loglake.metrics.serve"),
        # Few malloc arenas: a scrape's threads would each keep one.
        environment={"MALLOC_ARENA_MAX": "2"},
        probe=probe,
        after=("postgres",),
        ports=(Port.of(config, "port"),),
        url=config.url,
        stop_seconds=15,
    )


def probe(_started: datetime) -> str:
    """Content when the end point answers; it asks no server for that."""
    url = f"{settings().metrics.url}?name[]={_OWN}"
    with clients.web() as session:
        answer = session.get(url, timeout=clients.TIMEOUT_SECONDS)
    if _OWN not in answer.text:
        raise ServiceError(f"{url} does not answer as the end point should (HTTP {answer.status_code})")
    return ""
