"""The process behind the Prometheus end point. Run as `python -m loglake.metrics.serve`.

It answers Prometheus at `/metrics`, and the monitor at `/seen`.
"""

import logging
import signal
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, ProcessCollector, make_wsgi_app, start_http_server

from loglake import logs
from loglake.metrics import seen
from loglake.metrics.auditor import Auditor
from loglake.metrics.collector import StackCollector
from loglake.metrics.looker import Looker
from loglake.settings import settings

if TYPE_CHECKING:
    from wsgiref.simple_server import WSGIServer
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

log = logging.getLogger("loglake.metrics.serve")


def registry(auditor: Auditor) -> CollectorRegistry:
    """The stack's metrics, and `process_…` of this process itself."""
    made = CollectorRegistry(auto_describe=True)
    made.register(ProcessCollector(registry=None))
    made.register(StackCollector(settings().metrics, lambda: auditor.last))
    return made


def with_seen(metrics: "WSGIApplication", look: Callable[[], seen.Seen]) -> "WSGIApplication":
    """An application that answers `seen.PATH`, and leaves everything else to `metrics`."""

    def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if environ["PATH_INFO"] != seen.PATH:
            return metrics(environ, start_response)
        body = seen.encode(look())
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]

    return application


def start(auditor: Auditor) -> "WSGIServer":
    """Answer from a thread of its own until the server is shut down."""
    config, made = settings().metrics, registry(auditor)
    looker = Looker(config.cache_seconds, lambda: auditor.last)
    server, _ = start_http_server(config.port, settings().runtime.listen, made)
    server.set_app(with_seen(make_wsgi_app(made), looker.look))
    return server


def main() -> None:
    """Serve until SIGTERM."""
    logs.configure()
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    config = settings().metrics
    auditor = Auditor(config.books_seconds)
    start(auditor)
    auditor.start()
    log.info("serving %s", config.url)
    stopping.wait()


if __name__ == "__main__":
    main()
