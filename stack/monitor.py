"""The monitor's pages as a service of the stack: Streamlit, which is told by flags and monitoring/.streamlit what it may do."""

import sys
from datetime import datetime

from loglake import clients
from loglake.errors import ServiceError
from loglake.settings import LOOPBACK, PROJECT, settings
from stack.service import Port, Service

_APP = PROJECT / "monitoring" / "app.py"


def service() -> Service:
    config = settings().monitor
    return Service(
        name="monitor",
        title="Monitor",
        command=(
            sys.executable,
            "-m",
            "streamlit",
            "run",
            str(_APP),
            f"--server.port={config.port}",
            f"--server.address={settings().runtime.listen}",
        ),
        # Few malloc arenas: each viewer's script runs in a thread, which would keep one.
        environment={"MALLOC_ARENA_MAX": "2"},
        probe=probe,
        after=("postgres",),
        ports=(Port.of(config, "port"),),
        url=base_url(),
        stop_seconds=15,
    )


def base_url() -> str:
    """Where the pages are."""
    return f"http://{LOOPBACK}:{settings().monitor.port}"


def probe(_started: datetime) -> str:
    """Content when Streamlit says that it can serve the pages; it asks no other server for that."""
    url = f"{base_url()}/_stcore/health"
    with clients.web() as session:
        answer = session.get(url, timeout=clients.TIMEOUT_SECONDS)
    if answer.text.strip() != "ok":
        raise ServiceError(f"{url} answers HTTP {answer.status_code} {answer.text[:80]!r}")
    return ""
