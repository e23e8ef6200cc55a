"""Sending what files hold: the sums, the report, refusals, and a replay that is stopped before its end."""

import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest

from loglake.cli import main
from loglake.cli import replay as command
from loglake.errors import BadInputError, ServiceError
from producers.publisher import Stats
from producers.record import Record
from producers.replay import replay_files
from producers.replay_report import Summary
from producers.sources import files_of
from tests.unit.test_replay import HIT, REES46, UCI, VIEW, invoice

pytestmark = pytest.mark.unit


class FakeSink:
    """Takes records and does `then` after each; refuses those of one session, loses those of another."""

    def __init__(self, refused: str = "", lost: str = "", then: Callable[[], object] = lambda: None) -> None:
        self.records: list[Record] = []
        self.flushed = 0
        self._refused, self._lost, self._failed, self._then = refused.encode(), lost.encode(), 0, then

    def send(self, record: Record) -> bool:
        if record.key == self._refused:
            return False
        self._failed += record.key == self._lost
        self.records.append(record)
        self._then()
        return True

    def flush(self) -> Stats:
        sent = self.flushed = len(self.records)
        return Stats(sent, sent - self._failed, {"KafkaTimeoutError": self._failed} if self._failed else {}, {})


def test_a_file_of_no_known_kind_stops_the_replay_before_anything_is_sent(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(REES46 + VIEW)
    (tmp_path / "b.csv").write_text("a,b\n1,2\n")
    (tmp_path / "empty.log").touch()
    sink = FakeSink()
    with pytest.raises(BadInputError, match=r"b.csv: no built-in mapping"):
        replay_files(files_of([tmp_path]), None, sink, Summary())
    assert sink.records == []


def test_the_summary_adds_up_and_the_report_names_every_line(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(REES46 + VIEW + "cut\n" * 7)
    (tmp_path / "b.log").write_text("nonsense\n" + HIT.format(path="/", status=200))
    report = tmp_path / "report.ndjson"
    with Summary(report) as summary:
        replay_files([tmp_path / "a.csv", tmp_path / "b.log"], None, FakeSink(), summary)
    assert (summary.files, summary.event_count, summary.mapped_lines, summary.unmapped_lines) == (2, 2, 2, 8)
    assert summary.unmapped["cut_line"].lines == 7
    assert [place.line for place in summary.unmapped["cut_line"].first] == [3, 4, 5, 6, 7]
    lines = report.read_text().splitlines()
    assert len(lines) == 8
    assert '"line":9,"reason":"cut_line"' in lines[6]


def test_a_record_that_is_not_acknowledged_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(REES46 + VIEW)
    with pytest.raises(ServiceError, match="1 records were not acknowledged"):
        replay_files([tmp_path / "a.csv"], None, FakeSink(lost="s1"), Summary())


def test_a_refused_record_is_reported_with_all_its_lines(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(UCI + invoice("1", "a,1,1") + "\n" + invoice("1", "b,1,1") + invoice("2", "c,1,1"))
    summary = Summary()
    assert replay_files([tmp_path / "a.csv"], None, FakeSink(refused="invoice-1"), summary)
    assert (summary.event_count, summary.mapped_lines) == (1, 1)
    assert [place.line for place in summary.unmapped["refused"].first] == [2, 4]


def test_a_replay_that_is_told_to_stop_waits_for_what_it_sent(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text(REES46 + VIEW * 5)
    stop = threading.Event()
    sink = FakeSink(then=stop.set)
    summary = Summary()
    assert not replay_files(files_of([tmp_path]), None, sink, summary, stop=stop)
    assert (len(sink.records), sink.flushed, summary.files, summary.event_count) == (1, 1, 0, 1)


def test_sigterm_ends_a_replay_in_order_and_says_that_lines_are_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.csv").write_text(REES46 + VIEW * 5)
    sink = FakeSink(then=lambda: os.kill(os.getpid(), signal.SIGTERM))
    monkeypatch.setattr(command, "_publisher", lambda _: nullcontext(sink))
    monkeypatch.setattr(sys, "argv", ["loglake", "replay", str(tmp_path / "a.csv")])
    with pytest.raises(SystemExit) as exit_:
        main.run()
    assert (exit_.value.code, len(sink.records), sink.flushed) == (1, 1, 1)
    told = capsys.readouterr()
    assert "1 events of 1 lines sent and acknowledged" in told.out
    assert "stopped before the end: run the same replay again" in told.err
