"""The producer's own account of what became of every record: one JSON line each, and the sums tests compare with.

A line is written when the broker has acknowledged the record, or it is certain that it was not sent (`error`). The file
is flushed twice a second and on close, so an orderly stop leaves nothing unsaid, and `kill -9` costs at most the last
half second of lines, the last of which may be cut: the reader drops a cut last line.
"""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import IO

import msgspec
from msgspec import Struct

from loglake.errors import BadInputError
from producers.record import EVENT_LABELS, Record

_FLUSH_SECONDS = 0.5


class Entry(Struct, omit_defaults=True, frozen=True):
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
    """An append-only NDJSON file of entries. Thread-safe; use as a context manager."""

    def __init__(self, path: Path) -> None:
        try:
            self._file: IO[bytes] = path.open("ab")
        except OSError as error:
            raise BadInputError(f"ledger {path} cannot be written: {error.strerror}; name another file with --ledger") from error
        self._encoder = msgspec.json.Encoder()
        self._lock = threading.Lock()
        self._flushed = time.monotonic()

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def acknowledged(self, record: Record, partition: int, offset: int) -> None:
        self._write(_entry(record, partition, offset, None))

    def not_sent(self, record: Record, error: str) -> None:
        self._write(_entry(record, None, None, error))

    def flush(self) -> None:
        with self._lock:
            self._file.flush()

    def _write(self, entry: Entry) -> None:
        line = self._encoder.encode(entry) + b"\n"
        with self._lock:
            self._file.write(line)
            now = time.monotonic()
            if now - self._flushed > _FLUSH_SECONDS:
                self._file.flush()
                self._flushed = now


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
            except msgspec.MsgspecError as error:
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
    not_sent: int

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
