"""Rows become entries: what one event is made of, and how often the same content came before in its file."""

import hashlib
import re
from collections.abc import Iterable, Iterator

from msgspec import Struct

from producers.ids import RANDOM_BITS
from producers.replay_mapping import Rule, SourceMapping
from producers.replay_rows import Row

#: Identical entries are told apart while fewer than this many others (twice as many at most) lie between them.
_REMEMBERED = 250_000
#: Lines of one order that are kept until it ends: far more than the contract takes, so that a wrong group_by fills no memory.
_MOST_ROWS = 10_000


class Position(Struct, frozen=True):
    """A place in a file: every line before `line`, which begins at byte `offset`, has been dealt with."""

    offset: int = 0
    line: int = 1


BEGINNING = Position()


class Entry(Struct, frozen=True, gc=False):
    """The rows of one event; `resume` is where reading goes on once it is acknowledged."""

    rule: Rule | None  # None when its one row is passed through
    rows: list[Row]
    resume: Position

    @property
    def content(self) -> bytes:
        return b"\n".join(row.content for row in self.rows)


class Unmapped(Struct, frozen=True, gc=False):
    """Lines that gave no event. `reason` is a key of replay_report.REASONS, or `skipped: ` and the rule's own words."""

    lines: tuple[int, ...]
    reason: str
    detail: str
    resume: Position


class _Open(Struct):
    """An order whose lines are still being read; with `broken`, the number of a line of it that cannot be read."""

    key: str
    rule: Rule | None
    start: Position
    rows: list[Row]
    broken: int = 0


class Identity:
    """Makes the random part of event ids out of source, content, and how often the content came before in this file."""

    def __init__(self, source: str) -> None:
        self._source = source.encode() + b"\0"
        self._counts: dict[bytes, int] = {}
        self._older: dict[bytes, int] = {}

    def bits(self, content: bytes) -> int:
        """The 74 bits of the next entry with this content."""
        digest = hashlib.blake2b(self._source + content, digest_size=16).digest()
        occurrence = self._counts.get(digest, self._older.get(digest, -1)) + 1
        if len(self._counts) >= _REMEMBERED:
            self._older, self._counts = self._counts, {}
        self._counts[digest] = occurrence
        if occurrence:
            digest = hashlib.blake2b(digest + occurrence.to_bytes(8), digest_size=16).digest()
        return int.from_bytes(digest) & ((1 << RANDOM_BITS) - 1)


def entries(rows: Iterable[Row | None], mapping: SourceMapping) -> Iterator[Entry | Unmapped | None]:
    """What each row, or each run of rows with the same group_by, becomes. None (nothing new yet) is passed on."""
    return _grouped(rows, mapping) if mapping.group_by is not None else _single(rows, mapping)


def _single(rows: Iterable[Row | None], mapping: SourceMapping) -> Iterator[Entry | Unmapped | None]:
    for row in rows:
        if row is None:
            yield None
            continue
        found = None if mapping.passthrough and not row.problem else _rule(row, mapping)
        if isinstance(found, tuple):
            yield Unmapped((row.number,), *found, _after(row))
        else:
            yield Entry(found, [row], _after(row))


def _grouped(rows: Iterable[Row | None], mapping: SourceMapping) -> Iterator[Entry | Unmapped | None]:
    assert mapping.group_by is not None  # noqa: S101 - entries() asked
    group: _Open | None = None
    # A line of which not even the key can be read may belong to the order before it or to the one after it.
    suspect, after = 0, Position()
    for row in rows:
        if row is None:
            yield None
            continue
        key, found = mapping.group_by.value(row.values), _rule(row, mapping)
        rule = found if isinstance(found, Rule) else None
        after = _after(row)
        if group is not None and key is not None and (key != group.key or (rule and group.rule and rule is not group.rule)):
            yield from _closed(group, Position(row.start, row.number))
            group = None
        if group is None and key is not None and (rule or row.problem):
            group = _Open(key, rule, Position(row.start, row.number), [], suspect)
            suspect = 0
        if rule is not None and group is not None and key is not None:
            group.rule = rule
            suspect = 0
            if len(group.rows) < _MOST_ROWS:
                group.rows.append(row)
                continue
            group.broken = row.number
            found = "broken_order", f"an order of more than {_MOST_ROWS} lines"
        elif row.problem:
            suspect = row.number if key is None else 0
            if group is not None:
                group.broken = row.number
        reason, detail = ("no_key", "") if isinstance(found, Rule) else found
        yield Unmapped((row.number,), reason, detail, group.start if group else after)
    if group is not None:
        yield from _closed(group, after)


def _closed(group: _Open, resume: Position) -> Iterator[Entry | Unmapped]:
    if not group.rows or group.rule is None:
        return
    if group.broken:
        lines = tuple(row.number for row in group.rows)
        yield Unmapped(lines, "broken_order", f"line {group.broken}, which may belong to it, could not be used", resume)
    else:
        yield Entry(group.rule, group.rows, resume)


def _rule(row: Row, mapping: SourceMapping) -> Rule | tuple[str, str]:
    """The rule that makes an event of the row, or the reason why there is none and a detail."""
    if row.problem:
        return row.problem, row.detail
    for rule in mapping.rules:
        if all(re.fullmatch(pattern, row.values.get(column) or "") for column, pattern in rule.when.items()):
            return rule if rule.skip is None else (f"skipped: {rule.skip}", "")
    return "no_rule", ""


def _after(row: Row) -> Position:
    return Position(row.end, row.number + 1 + row.content.count(b"\n"))
