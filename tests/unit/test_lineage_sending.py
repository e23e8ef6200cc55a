"""Lineage on its way: to a file, to an end point, and to one that refuses, hangs or is not there. No run may fail or wait for it."""

import http.server
import json
import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from openlineage.client.event_v2 import RunEvent

from loglake.errors import SettingsError
from loglake.lineage import load, sending
from loglake.settings import settings

pytestmark = pytest.mark.unit

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RESULT = {"load_id": 3, "snapshot_to": 12, "rows_read": 5, "files_read": 2, "rows_inserted": 3, "rows_duplicate": 1, "rows_rejected": 1}


def events() -> list[RunEvent]:
    return load.done(RESULT, NOW, NOW, "")


def never() -> list[RunEvent]:
    raise AssertionError("events were made although nobody wants them")


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Settings of this test's own."""
    monkeypatch.setenv("LOGLAKE_LINEAGE_TIMEOUT_SECONDS", "0.2")
    settings.cache_clear()
    yield monkeypatch
    settings.cache_clear()


@contextmanager
def end_point(status: int, delay: float = 0.0) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A server on loopback that answers so; its URL, and what it was sent."""
    received: list[dict[str, Any]] = []
    stopped = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append({"path": self.path, "key": self.headers.get("Authorization"), **json.loads(body)})
            stopped.wait(delay)
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            """Quiet."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", received
    finally:
        stopped.set()
        server.shutdown()
        thread.join()
        server.server_close()


def test_without_the_setting_no_event_is_even_made(told: pytest.MonkeyPatch) -> None:
    sending.send(never)


def test_an_end_point_gets_each_event_with_the_key(told: pytest.MonkeyPatch) -> None:
    with end_point(201) as (url, received):
        told.setenv("LOGLAKE_LINEAGE_TO", url)
        told.setenv("LOGLAKE_LINEAGE_API_KEY", "secret")
        told.setenv("LOGLAKE_LINEAGE_TIMEOUT_SECONDS", "10")
        sending.send(events)
    assert [(one["path"], one["key"], one["eventType"]) for one in received] == [
        ("/api/v1/lineage", "Bearer secret", "START"),
        ("/api/v1/lineage", "Bearer secret", "COMPLETE"),
    ]


@pytest.mark.parametrize(("status", "delay"), [(500, 0.0), (429, 0.0), (201, 5.0)])
def test_an_end_point_that_is_unwell_costs_one_warning(
    told: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, status: int, delay: float
) -> None:
    with end_point(status, delay) as (url, received):
        told.setenv("LOGLAKE_LINEAGE_TO", url)
        began = time.monotonic()
        sending.send(events)
        took = time.monotonic() - began
    assert took < 2.0
    assert [record.levelno for record in caplog.records if record.name == sending.__name__] == [logging.WARNING]
    assert len(received) == 1


def test_nobody_there_costs_one_warning(told: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    told.setenv("LOGLAKE_LINEAGE_TO", "http://127.0.0.1:9")
    sending.send(events)
    assert [record.getMessage()[:25] for record in caplog.records if record.name == sending.__name__] == ["lineage: events are lost,"]


def test_making_events_that_takes_too_long_is_given_up(told: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    told.setenv("LOGLAKE_LINEAGE_TO", str(tmp_path / "events.jsonl"))
    free = threading.Event()

    def slow() -> list[RunEvent]:
        free.wait(30)
        return []

    began = time.monotonic()
    sending.send(slow)
    free.set()
    assert time.monotonic() - began < 10
    assert "not all events were sent" in caplog.text


def test_what_cannot_be_made_is_a_warning(told: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    told.setenv("LOGLAKE_LINEAGE_TO", str(tmp_path / "events.jsonl"))
    sending.send(never)
    assert "events were made although" in caplog.text


def test_who_writes_at_once_writes_whole_lines(told: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "folder" / "events.jsonl"
    told.setenv("LOGLAKE_LINEAGE_TO", str(path))
    told.setenv("LOGLAKE_LINEAGE_TIMEOUT_SECONDS", "10")
    with ThreadPoolExecutor(3) as pool:
        for _ in range(3):
            pool.submit(sending.send, lambda: [event for _ in range(20) for event in events()])
    lines = path.read_text().splitlines()
    assert len(lines) == 3 * 40
    assert {json.loads(line)["eventType"] for line in lines} == {"START", "COMPLETE"}


@pytest.mark.parametrize("wrong", ["relative/path", "ftp://127.0.0.1", "http://", "/with space"])
def test_another_address_is_refused_by_name(told: pytest.MonkeyPatch, wrong: str) -> None:
    told.setenv("LOGLAKE_LINEAGE_TO", wrong)
    with pytest.raises(SettingsError, match="LOGLAKE_LINEAGE_TO"):
        settings()
