"""The process behind the Prometheus end point. Run as `python -m loglake.metrics.serve`; answers at `/metrics`."""

import logging
import signal
import threading

from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server

from loglake import logs
from loglake.metrics.auditor import Auditor
from loglake.metrics.collector import StackCollector
from loglake.settings import settings

log = logging.getLogger("loglake.metrics.serve")


def registry(auditor: Auditor) -> CollectorRegistry:
    """The stack's metrics, and `process_…` of this process itself."""
    made = CollectorRegistry(auto_describe=True)
    made.register(ProcessCollector(registry=None))
    made.register(StackCollector(settings().metrics, lambda: auditor.last))
    return made


def main() -> None:
    """Serve until SIGTERM."""
    logs.configure()
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    config = settings().metrics
    auditor = Auditor(config.books_seconds)
    start_http_server(config.port, settings().runtime.listen, registry(auditor))
    auditor.start()
    log.info("serving %s", config.url)
    stopping.wait()


if __name__ == "__main__":
    main()
