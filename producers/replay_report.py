"""What became of a replay's lines: counts, the first line numbers of every reason, and all of them in a file if wanted.

Neither shows what a line holds: it may be a client's address.
"""

from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import msgspec
from msgspec import Struct

from loglake import decode
from loglake.errors import BadInputError
from producers.record import Record
from producers.replay_entries import Unmapped

#: Every reason why a line gave no event, besides `skipped: …` of a mapping's rule.
REASONS = decode.REASONS | {
    "cut_line": "the line has fewer values than the header has columns",
    "extra_values": "the line has more values than the header has columns",
    "open_quote": "a quoted value is never closed",
    "not_csv": "the line is not CSV",
    "not_combined": "the line is not in the combined log format",
    "wrong_encoding": "the bytes are not text in the mapping's encoding",
    "line_too_long": "the line is too long to be read",
    "gzip_ends_early": "the gzip file is damaged or cut off here; what came before was read",
    "no_rule": "no rule of the mapping matches the line",
    "no_key": "group_by is null for the line",
    "broken_order": "another line of the same order could not be used, and half an order would be wrong",
    "bad_time": "the time of the event is missing or of another format",
    "refused": "the publisher refused the record",
}
_FIRST_PLACES = 5


class Place(Struct, frozen=True):
    """A line of a file; `file` is its name without its folder."""

    file: str
    line: int


class Reason(Struct):
    """How many lines share a reason, and where the first ones are."""

    lines: int = 0
    first: list[Place] = []


class Summary:
    """Adds up a replay. Use as a context manager when every unmapped line is to be written to `report` (NDJSON)."""

    def __init__(self, report: Path | None = None) -> None:
        self.files = 0
        self.mapped_lines = 0
        self.events: Counter[str] = Counter()
        self.unmapped: dict[str, Reason] = {}
        try:
            self._report: IO[bytes] | None = report.open("wb") if report else None
        except OSError as error:
            raise BadInputError(f"report {report} cannot be written: {error.strerror}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._report is not None:
            self._report.close()

    @property
    def unmapped_lines(self) -> int:
        return sum(reason.lines for reason in self.unmapped.values())

    @property
    def event_count(self) -> int:
        return self.events.total()

    def add_event(self, record: Record, lines: int) -> None:
        """Count a record that was made of this many lines."""
        self.mapped_lines += lines
        self.events[record.event.event_type if record.event else ""] += 1

    def add_unmapped(self, path: Path, unmapped: Unmapped) -> None:
        """Count lines that gave no event, and write them to the report."""
        reason = self.unmapped.setdefault(unmapped.reason, Reason())
        reason.lines += len(unmapped.lines)
        room = _FIRST_PLACES - len(reason.first)
        reason.first += [Place(path.name, line) for line in unmapped.lines[:room]]
        if self._report is not None:
            for line in unmapped.lines:
                entry = {"file": str(path), "line": line, "reason": unmapped.reason, "detail": unmapped.detail}
                self._report.write(msgspec.json.encode(entry) + b"\n")
            self._report.flush()
