"""Replay: the lines of real files as events, with their own time, and with the same event ids each time.

`outcomes` is pure: lines in, records and reasons out. `replay_files` and `follow_file` send what it gives.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from loglake.decode import DEFAULT_MAX_BYTES, Reject
from loglake.errors import ServiceError
from loglake.settings import settings
from producers.publisher import Stats
from producers.record import Record
from producers.replay_entries import BEGINNING, Entry, Identity, Position, Unmapped, entries
from producers.replay_event import RecordMaker
from producers.replay_lines import Line, read_lines
from producers.replay_mapping import SourceMapping
from producers.replay_report import Summary
from producers.replay_rows import BadLineError
from producers.sources import detect, rows_of

Clock = Callable[[], datetime]


class Mapped(Struct, frozen=True, gc=False):
    """An event's record and the lines it was made of; `resume` is where reading goes on once it is acknowledged."""

    record: Record
    lines: tuple[int, ...]
    resume: Position


Outcome = Mapped | Unmapped


class Sink(Protocol):
    """Where records go: producers.publisher.Publisher."""

    def send(self, record: Record) -> bool: ...
    def flush(self) -> Stats: ...


def utc_now() -> datetime:
    return datetime.now(UTC)


def outcomes(
    path: Path,
    lines: Iterable[Line | None],
    mapping: SourceMapping,
    start: Position = BEGINNING,
    *,
    max_bytes: int = DEFAULT_MAX_BYTES,
    clock: Clock = utc_now,
) -> Iterator[Outcome | None]:
    """What becomes of a file's lines, in order, from `start` on; None is passed on (nothing new yet).

    `lines` always begin at the file's beginning: what lies before `start` is read for the header and for how often a
    content came before, and gives no outcome.
    """
    rows = rows_of(path, lines, mapping)
    identity, maker = Identity(mapping.source), RecordMaker(mapping, max_bytes)
    for entry in entries(rows, mapping):
        if entry is None:
            yield None
        elif isinstance(entry, Unmapped):
            if entry.lines[-1] >= start.line:
                yield entry
        else:
            id_bits = identity.bits(entry.content) if entry.rule else 0
            if entry.rows[-1].number >= start.line:
                yield _outcome(entry, maker, id_bits, clock())


def _outcome(entry: Entry, maker: RecordMaker, id_bits: int, now: datetime) -> Outcome:
    lines = tuple(row.number for row in entry.rows)
    try:
        record = maker.mapped(entry.rule, entry.rows, id_bits, now) if entry.rule else maker.untouched(entry.content, now)
    except Reject as reject:
        problem, detail = reject.code, str(reject).partition(": ")[2]
    except BadLineError as error:
        problem, detail = error.problem, error.detail
    else:
        return Mapped(record, lines, entry.resume)
    return Unmapped(lines, problem, detail, entry.resume)


def replay_files(
    paths: Iterable[Path],
    mapping: SourceMapping | None,
    sink: Sink | None,
    summary: Summary,
    *,
    stop: threading.Event | None = None,
    progress: Callable[[], object] = lambda: None,
) -> bool:
    """Send what files hold and wait until it is acknowledged; with `sink` None nothing is sent, only summed up.

    Without `mapping` each file's own one is detected. `progress` is called after each outcome. False when `stop` was set
    meanwhile, so that lines may be left.
    """
    stop = stop or threading.Event()
    # Every file's mapping is found first: one that fits none stops the replay before anything is sent.
    plan = [(path, mapping or detect(path)) for path in paths if path.stat().st_size]
    for path, its_mapping in plan:
        found = outcomes(path, read_lines(path), its_mapping, max_bytes=settings().stream.max_payload_bytes)
        for outcome in takewhile(lambda _: not stop.is_set(), found):
            if outcome is not None:
                deliver(outcome, path, sink, summary)
                progress()
        if stop.is_set():
            break
        summary.files += 1
    if sink is not None:
        settle(sink)
    return not stop.is_set()


def deliver(outcome: Outcome, path: Path, sink: Sink | None, summary: Summary) -> None:
    if isinstance(outcome, Unmapped):
        summary.add_unmapped(path, outcome)
    elif sink is None or sink.send(outcome.record):
        summary.add_event(outcome.record, len(outcome.lines))
    else:  # the publisher has the reason in its own count
        summary.add_unmapped(path, Unmapped(outcome.lines, "refused", "", outcome.resume))


def settle(sink: Sink) -> None:
    """Wait for every acknowledgement; ServiceError when one will not come."""
    failed = sum(sink.flush().failed.values())
    if failed:
        raise ServiceError(
            f"{failed} records were not acknowledged: run the same replay again when Kafka answers, it adds only what is missing"
        )
