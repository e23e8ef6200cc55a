"""Following a growing file: what it gains is sent once, nothing is left out, wherever the follower stops."""

import threading
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest

from loglake.errors import BadInputError, ServiceError
from producers.publisher import Stats
from producers.record import Record
from producers.replay_follow import COMMIT_EVERY, Follower
from producers.replay_lines import follow_lines
from producers.replay_mapping import named_mapping
from producers.replay_report import Summary
from tests.unit.test_replay import REES46, UCI, VIEW, invoice, of

pytestmark = pytest.mark.unit


def view(number: int) -> str:
    return VIEW.replace(",u1,", f",u{number},")


class Killed(BaseException):
    """Stands for `kill -9`: nothing after it runs, neither a flush nor a commit."""


class Broker:
    """A sink that acknowledges on flush, then runs `then`; with `dies_at`, the process dies when that record is sent."""

    def __init__(self, then: Callable[[], object] = lambda: None, dies_at: int = -1, loses: bool = False) -> None:
        self.users: list[str] = []
        self.ids: list[str] = []
        self.flushes = 0
        self._then, self._dies_at, self._loses = then, dies_at, loses

    def send(self, record: Record) -> bool:
        assert record.event is not None
        if len(self.ids) == self._dies_at:
            raise Killed
        self.ids.append(record.event.event_id)
        self.users.append((record.event.user and record.event.user.user_id) or "")
        return True

    def flush(self) -> Stats:
        self.flushes += 1
        sent = len(self.ids)
        if self._loses:
            return Stats(sent, sent - 1, {"KafkaTimeoutError": 1}, {})
        self._then()
        return Stats(sent, sent, {}, {})


def follow(path: Path, broker: Broker, stop: threading.Event, source: str = "rees46") -> list[str]:
    """Run a follower until `stop` is set; what it had to say."""
    notices: list[str] = []
    Follower(path, named_mapping(source), broker, Summary(), path.parent / "positions").run(stop, notices.append, poll_seconds=0.01)
    return notices


def once(path: Path, source: str = "rees46") -> Broker:
    """Follow until what is there has been acknowledged once."""
    stop = threading.Event()
    broker = Broker(stop.set)
    follow(path, broker, stop, source)
    return broker


def steps(*actions: Callable[[], object]) -> tuple[Broker, threading.Event]:
    """A broker that does one of the actions after each acknowledgement, and stops after the last."""
    stop, left = threading.Event(), list(actions)
    return Broker(lambda: left.pop(0)() and None if left else stop.set()), stop


def append(path: Path, text: str) -> Callable[[], object]:
    def act() -> None:
        with path.open("a") as file:
            file.write(text)

    return act


def test_what_a_file_gains_is_sent_once_its_line_is_finished(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(REES46 + view(1) + view(2)[:30])
    broker, stop = steps(append(path, view(2)[30:]), append(path, view(3) + view(4)))
    follow(path, broker, stop)
    assert broker.users == ["u1", "u2", "u3", "u4"]
    assert broker.ids == [outcome.record.event.event_id for outcome in of(path)]  # type: ignore[union-attr]


def test_a_follower_resumes_where_the_last_one_stopped(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(REES46 + view(1) + view(2))
    assert once(path).users == ["u1", "u2"]
    append(path, view(3))()
    assert once(path).users == ["u3"]


def test_repeats_keep_their_ids_across_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(REES46 + VIEW)
    first = once(path).ids
    append(path, VIEW)()
    assert first + once(path).ids == [outcome.record.event.event_id for outcome in of(path)]  # type: ignore[union-attr]


@pytest.mark.parametrize("dies_at", [0, 1, COMMIT_EVERY - 1, COMMIT_EVERY, COMMIT_EVERY + 7])
def test_a_killed_follower_leaves_no_gap(tmp_path: Path, dies_at: int) -> None:
    path = tmp_path / "a.csv"
    path.write_text(REES46 + "".join(view(number) for number in range(COMMIT_EVERY + 10)))
    first = Broker(dies_at=dies_at)
    with pytest.raises(Killed):
        follow(path, first, threading.Event())
    stop = threading.Event()
    second = Broker(lambda: stop.set() if second.users[-1] == f"u{COMMIT_EVERY + 9}" else None)
    follow(path, second, stop)
    expected = [outcome.record.event.event_id for outcome in of(path)]  # type: ignore[union-attr]
    assert set(first.ids) | set(second.ids) == set(expected)
    assert len(second.ids) == (10 if dies_at > COMMIT_EVERY - 1 else COMMIT_EVERY + 10)


def test_nothing_is_committed_that_was_not_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(REES46 + view(1))
    with pytest.raises(ServiceError, match="not acknowledged"):
        follow(path, Broker(loses=True), threading.Event())
    assert once(path).users == ["u1"]


def test_an_order_waits_for_the_next_one_and_survives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(UCI + invoice("1", "a,1,1") + invoice("2", "b,1,1"))
    first = once(path, "uci_online_retail")
    append(path, invoice("2", "c,1,1") + invoice("3", "d,1,1"))()
    second = once(path, "uci_online_retail")
    whole = [outcome.record.event.event_id for outcome in of(path)]  # type: ignore[union-attr]
    assert first.ids + second.ids == whole[:2]


def test_a_rotated_file_is_read_to_its_end_and_its_successor_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(REES46 + view(1))

    def rotate() -> None:
        append(path, view(2).rstrip("\n"))()
        path.rename(tmp_path / "a.csv.1")
        path.write_text(REES46 + view(3))

    broker, stop = steps(rotate, lambda: None)
    notices = follow(path, broker, stop)
    assert broker.users == ["u1", "u2", "u3"]
    assert notices == ["a.csv was replaced or cut: reading the new one"]


@pytest.mark.parametrize("size", [1, 30])
def test_a_file_that_was_cut_and_written_anew_is_read_from_its_beginning(tmp_path: Path, size: int) -> None:
    path = tmp_path / "a.csv"
    path.write_text(REES46 + view(1) + view(2))
    new = [view(number) for number in range(10, 10 + size)]
    broker, stop = steps(lambda: path.write_text(REES46 + "".join(new)) and None)
    follow(path, broker, stop)
    assert broker.users[2:] == [f"u{number}" for number in range(10, 10 + size)]


def test_a_file_that_is_cut_while_it_is_read_is_noticed_at_once(tmp_path: Path) -> None:
    """Not only when the new content has become as long as the old one."""
    path = tmp_path / "a.log"
    path.write_text("one\ntwo\nthree\n")
    with path.open("rb") as stream:
        lines = follow_lines(stream, path)
        first = next(lines)
        path.write_text("new\n")
        rest = list(islice(lines, 10))
    assert [line.data for line in (first, *rest) if line] == [b"one", b"two", b"three"]
    assert len(rest) < 10, "it ended"


@pytest.mark.timeout(20)
def test_a_file_cut_before_its_position_is_written_is_read_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(REES46 + view(1) + view(2) + view(3))
    stop = threading.Event()

    def cut() -> None:
        path.write_text(REES46 + view(7))
        stop.set()

    follow(path, Broker(cut), stop)
    assert once(path).users == ["u7"]


def test_another_file_of_the_same_name_is_read_from_its_beginning_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(REES46 + view(1))
    once(path)
    path.write_text(REES46 + view(2) + view(3))
    stop = threading.Event()
    broker = Broker(stop.set)
    [notice] = follow(path, broker, stop)
    assert broker.users == ["u2", "u3"]
    assert "is not the file followed before" in notice


def test_a_damaged_position_file_and_a_gzip_file_are_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(REES46 + view(1))
    once(path)
    [position] = (tmp_path / "positions").iterdir()
    for damage in (b"{", b'{"file":"\xff"}'):
        position.write_bytes(damage)
        with pytest.raises(BadInputError, match="is damaged: delete it"):
            once(path)
    path.write_bytes(b"\x1f\x8b")
    with pytest.raises(BadInputError, match="is gzip and cannot be followed"):
        once(path)
