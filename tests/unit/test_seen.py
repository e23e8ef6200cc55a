"""What the end point has seen of the pipeline: told whole, asked for together, and a reason in the place of what is not known."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from wsgiref.util import setup_testing_defaults

import pytest
from prometheus_client import CollectorRegistry, make_wsgi_app

from loglake.errors import ServiceError
from loglake.metrics import looker, seen
from loglake.metrics.looker import Looker
from loglake.metrics.seen import Seen
from loglake.metrics.serve import with_seen
from loglake.settings import settings
from loglake.topic import Bounds
from tests.alertfacts import WELL
from tests.metricfacts import AIRFLOW, FULL, HDFS, NOW

pytestmark = pytest.mark.unit
ALL = Seen(NOW, WELL, FULL.kafka, HDFS, FULL.lake, AIRFLOW, FULL.audit, {})


def refuse() -> None:
    raise ServiceError("refused")


def test_it_is_read_as_it_was_written() -> None:
    assert all(getattr(ALL, field.name) is not None for field in fields(Seen))
    for one in (ALL, Seen(NOW, reasons={"kafka": "no broker answers"})):
        assert seen.decode(seen.encode(one)) == one


def test_every_part_is_asked_for_or_given() -> None:
    assert set(looker.SOURCES) == set(seen.SOURCES)
    assert {field.name for field in fields(Seen)} == {*seen.SOURCES, "at", "audit", "reasons"}


def test_what_does_not_answer_is_left_out_with_its_reason_and_looks_soon_after_each_other_are_one() -> None:
    asked: list[int] = []

    def count() -> dict[int, Bounds]:
        asked.append(1)
        return {0: Bounds(0, 5)}

    made = Looker(60, lambda: FULL.audit, {"kafka": count, "hdfs": refuse})
    found = [made.look() for _ in range(3)]
    assert len(asked) == 1
    assert (found[0].kafka, found[0].hdfs, found[0].audit) == ({0: Bounds(0, 5)}, None, FULL.audit)
    assert (found[0].reason("hdfs"), found[0].reason("kafka")) == ("refused", "")


@pytest.mark.parametrize(("path", "kind"), [("/seen", "application/json"), ("/metrics", "text/plain"), ("/", "text/plain")])
def test_each_path_has_its_answer(path: str, kind: str) -> None:
    application = with_seen(make_wsgi_app(CollectorRegistry()), lambda: ALL)
    environ: dict[str, str] = {"PATH_INFO": path}
    setup_testing_defaults(environ)
    told: list[tuple[str, dict[str, str]]] = []
    body = b"".join(application(environ, lambda status, headers, *_: told.append((status, dict(headers)))))  # type: ignore[arg-type,return-value]
    (status, headers), *_ = told
    assert (status, headers["Content-Type"].partition(";")[0]) == ("200 OK", kind)
    if kind == "application/json":
        assert seen.decode(body) == ALL


@contextmanager
def answering(status: int, body: bytes) -> Iterator[int]:
    """The port of a server that says the same to everybody."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing to standard error."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def asks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], Seen]]:
    def ask(port: int) -> Seen:
        monkeypatch.setenv("LOGLAKE_METRICS_PORT", str(port))
        settings.cache_clear()
        return seen.ask(datetime.now(UTC))

    yield ask
    monkeypatch.undo()
    settings.cache_clear()


def test_the_answer_of_the_end_point_is_what_was_seen(asks: Callable[[int], Seen]) -> None:
    with answering(200, seen.encode(ALL)) as port:
        assert asks(port) == ALL


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (501, b"", "answers HTTP 501: see `loglake logs metrics`"),
        (200, b"# HELP loglake_up", "is of another release: see"),
        (200, b'{"at": 1}', "is of another release: see"),
    ],
)
def test_an_answer_that_tells_nothing_is_the_reason_for_every_part(
    asks: Callable[[int], Seen], status: int, body: bytes, reason: str
) -> None:
    with answering(status, body) as port:
        found = asks(port)
    assert found.rules is None
    assert all(reason in found.reason(name) for name in (*seen.SOURCES, "audit"))


def test_no_answer_is_the_reason_for_every_part(asks: Callable[[int], Seen]) -> None:
    with answering(200, b"") as port:
        pass
    assert "the Prometheus end point does not answer: see `loglake logs metrics`" in asks(port).reason("audit")
