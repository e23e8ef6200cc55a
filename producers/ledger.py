"""The producer's own account of what became of every record: one JSON line each, and the sums tests compare with.

A line is written when the broker has acknowledged the record, or the client has given it up (`error`): then it was refused,
or it failed, and a failed one may be in the topic all the same. An orderly stop leaves nothing unsaid. The file is flushed
twice a second while lines come, so `kill -9` costs the lines of the last moment, and may cut the last one in two: the reader
passes over it, and the next run takes it away.
"""

import time
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from os import SEEK_END
from pathlib import Path
from typing import IO

import msgspec
from msgspec import Struct

from loglake.errors import BadInputError
from producers.record import EVENT_LABELS, Record

_FLUSH_SECONDS = 0.5
#: Far above what the limits of the contract leave room for.
_LONGEST_LINE = 64 * 1024
_LINE_BEGINS = b'{"label":'


class Entry(Struct, omit_defaults=True, frozen=True, gc=False):
    """What became of one record. `partition` and `offset` are set when it was acknowledged, `error` when it was not."""

    label: str
    event_id: str | None = None
    event_type: str | None = None
    session_id: str | None = None
    user_id: str | None = None
    amount: Decimal | None = None
    partition: int | None = None
    offset: int | None = None
    error: str | None = None


class Ledger:
    """An append-only NDJSON file of entries, for one thread. Use as a context manager; BadInputError when it cannot be written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._encoder = msgspec.json.Encoder()
        self._flushed = time.monotonic()
        try:
            _make_ready(path)
            self._file: IO[bytes] = path.open("ab")
        except OSError as error:
            raise self._unwritable(error) from error

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._file.close()
        except OSError as error:
            raise self._unwritable(error) from error

    def acknowledged(self, record: Record, partition: int, offset: int) -> None:
        self._write(_entry(record, partition, offset, None))

    def not_sent(self, record: Record, error: str) -> None:
        self._write(_entry(record, None, None, error))

    def flush(self) -> None:
        try:
            self._file.flush()
        except OSError as error:
            raise self._unwritable(error) from error
        self._flushed = time.monotonic()

    def _write(self, entry: Entry) -> None:
        try:
            self._file.write(self._encoder.encode(entry) + b"\n")
        except OSError as error:
            raise self._unwritable(error) from error
        if time.monotonic() - self._flushed > _FLUSH_SECONDS:
            self.flush()

    def _unwritable(self, error: OSError) -> BadInputError:
        return BadInputError(f"the ledger cannot be written: {self._path}: {error.strerror}; make room, or name another file with --ledger")


def _make_ready(path: Path) -> None:
    """Only a ledger is continued; half a line, left by a producer that was killed, is taken away first."""
    if not path.is_file():
        return
    next(read(path), None)
    with path.open("r+b") as file:
        size = file.seek(0, SEEK_END)
        file.seek(max(0, size - _LONGEST_LINE))
        half = file.read().rpartition(b"\n")[2]
        if not half.startswith(_LINE_BEGINS[: len(half)]):
            raise BadInputError(f"{path} ends like no ledger: name another file with --ledger")
        file.truncate(size - len(half))


def _entry(record: Record, partition: int | None, offset: int | None, error: str | None) -> Entry:
    event = record.event
    if event is None:
        return Entry(record.label, partition=partition, offset=offset, error=error)
    user_id = event.user.user_id if event.user else None
    amount = event.order.amount if event.order else None
    return Entry(record.label, event.event_id, event.event_type, event.session_id, user_id, amount, partition, offset, error)


def read(path: Path) -> Iterator[Entry]:
    """The entries of a ledger; BadInputError with the line number of one that is none."""
    decoder = msgspec.json.Decoder(Entry)
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return  # the producer was killed while writing it
            try:
                yield decoder.decode(line)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                raise BadInputError(f"{path} line {number} is no ledger entry: {error}") from error


class Truth(Struct, frozen=True):
    """What must come out of the pipeline, by the producer's ledger: only acknowledged records count, unless it says so."""

    by_label: dict[str, int]
    by_type: dict[str, int]  # distinct events of each type
    events: int  # distinct event_ids
    duplicates: int  # acknowledged events beyond the first of their event_id
    rejected: int
    users: int
    sessions: int
    revenue: Decimal  # completed orders, each event once
    refunded: Decimal
    not_sent: int  # refused, or failed: a failed one may be in the topic

    @property
    def acknowledged(self) -> int:
        return self.events + self.duplicates + self.rejected


def truth(entries: Iterator[Entry]) -> Truth:
    """Sum up a ledger. Holds the distinct identifiers in memory."""
    labels: Counter[str] = Counter()
    types: Counter[str] = Counter()
    money = {"order_complete_response": Decimal(0), "order_refunded": Decimal(0)}
    seen: set[str] = set()
    users: set[str] = set()
    sessions: set[str] = set()
    duplicates = rejected = not_sent = 0
    for entry in entries:
        if entry.error is not None:
            not_sent += 1
            continue
        labels[entry.label] += 1
        if entry.label not in EVENT_LABELS or entry.event_id is None:
            rejected += 1
        elif entry.event_id in seen:
            duplicates += 1
        else:
            seen.add(entry.event_id)
            types[entry.event_type or ""] += 1
            sessions.add(entry.session_id or "")
            if entry.user_id is not None:
                users.add(entry.user_id)
            if entry.event_type in money and entry.amount is not None:
                money[entry.event_type] += entry.amount
    revenue, refunded = money.values()
    return Truth(dict(labels), dict(types), len(seen), duplicates, rejected, len(users), len(sessions), revenue, refunded, not_sent)
