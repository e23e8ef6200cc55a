"""How a line of a format becomes named values: CSV, the combined log format, and NDJSON. Every value is a text or null."""

import csv
import json
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import TypeVar

from msgspec import Struct

from producers.replay_lines import Line

Values = dict[str, str | None]
Lines = Iterable[Line | None]
Rows = Iterator["Row | None"]
_Value = TypeVar("_Value")

#: What a line of the combined format is made of (Apache's `combined`, which nginx writes too).
COMBINED_COLUMNS = ("ip", "identity", "user", "time", "request", "status", "bytes", "referrer", "agent", "method", "path", "protocol")
_QUOTED = r'"((?:[^"\\]|\\.)*)"'
# The time's length is bounded: a line full of opening brackets would take minutes otherwise.
_COMBINED = re.compile(rf"(\S+) (\S+) (.+?) \[([^\]]{{1,64}})\] {_QUOTED} (\d{{3}}) (\d+|-) {_QUOTED} {_QUOTED}")
_REQUEST = re.compile(r"([A-Za-z]+) (\S.*?)(?: (HTTP/[\d.]+))?")
#: A quoted CSV value may run over lines, but over no more than this: beyond, its closing quote is missing.
MAX_RECORD_LINES = 50
_END = Line(0, 0, 0, b"")


class Row(Struct, frozen=True, gc=False):
    """One record of a file: its first line's number, its bytes [start, end), its text, and its values.

    With a `problem` (a key of replay_report.REASONS) the row cannot be used; `values` then holds what could be read.
    """

    number: int
    start: int
    end: int
    content: bytes
    values: Values
    problem: str = ""
    detail: str = ""


class BadLineError(Exception):
    """Why a line cannot be used: `problem` is a key of replay_report.REASONS."""

    def __init__(self, problem: str, detail: str = "") -> None:
        super().__init__(problem, detail)
        self.problem, self.detail = problem, detail


def csv_rows(
    lines: Lines, columns: tuple[str, ...] | None, delimiter: str, encoding: str, check: Callable[[tuple[str, ...]], None]
) -> Rows:
    """The rows of a CSV file; with `columns` None its first record names them, and `check` may refuse it by raising.

    None (nothing new yet) is passed on.
    """
    for record in _csv_records(lines, delimiter, encoding):
        if record is None:
            yield None
            continue
        line, fields = record
        if line.problem or isinstance(fields, BadLineError):
            yield _broken(line, fields if isinstance(fields, BadLineError) else BadLineError(line.problem))
        elif columns is None:
            columns = tuple(fields)
            check(columns)
        else:
            values: Values = dict(zip(columns, (field or None for field in fields), strict=False))
            problem = "cut_line" if len(fields) < len(columns) else "extra_values" if len(fields) > len(columns) else ""
            detail = f"{len(fields)} of {len(columns)} columns" if problem else ""
            yield Row(line.number, line.start, line.end, line.data, values, problem, detail)


def combined_rows(lines: Lines, encoding: str) -> Rows:
    """The rows of a web server's log; a `-` is null."""
    for line in lines:
        if line is None:
            yield None
        elif line.data or line.problem:
            try:
                yield Row(line.number, line.start, line.end, line.data, combined_values(_text(line, encoding)))
            except BadLineError as error:
                yield _broken(line, error)


def combined_values(text: str) -> Values:
    """The columns of one line in combined format; raises BadLineError."""
    found = _COMBINED.fullmatch(text)
    if found is None:
        raise BadLineError("not_combined")
    parts = [part.replace(r"\"", '"') for part in found.groups()]
    request = _REQUEST.fullmatch(parts[4])
    parts += [part or "-" for part in request.groups()] if request else ["-", "-", "-"]
    return {name: None if part in ("-", "") else part for name, part in zip(COMBINED_COLUMNS, parts, strict=True)}


def ndjson_rows(lines: Lines, encoding: str) -> Rows:
    """The rows of a file with one JSON object a line; nested values are named with dots (`a.b`, `list.0`)."""
    for line in lines:
        if line is None:
            yield None
        elif line.data.strip() or line.problem:
            try:
                yield Row(line.number, line.start, line.end, line.data, ndjson_values(_text(line, encoding)))
            except BadLineError as error:
                yield _broken(line, error)


def raw_rows(lines: Lines) -> Rows:
    """The rows of a file whose lines are sent on as they are: content only."""
    for line in lines:
        if line is None:
            yield None
        elif line.problem:
            yield _broken(line, BadLineError(line.problem))
        elif line.data.strip():
            yield Row(line.number, line.start, line.end, line.data, {})


def ndjson_values(text: str) -> Values:
    """The values of one JSON object, numbers as they are written; raises BadLineError."""
    try:
        document = json.loads(text, parse_float=str, parse_int=str, parse_constant=_no_constant, object_pairs_hook=_unique)
        if not isinstance(document, dict):
            raise BadLineError("not_an_object")
        return _unique(list(_flatten("", document)))
    except (ValueError, RecursionError) as error:
        raise BadLineError("not_json", type(error).__name__) from error


def _flatten(prefix: str, value: object) -> Iterator[tuple[str, str | None]]:
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _flatten(f"{prefix}.{key}" if prefix else str(key), inner)
    elif isinstance(value, bool):
        yield prefix, "true" if value else "false"
    else:
        yield prefix, None if value is None else str(value)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _unique(pairs: list[tuple[str, _Value]]) -> dict[str, _Value]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise BadLineError("duplicate_key")
    return document


def _csv_records(lines: Lines, delimiter: str, encoding: str) -> Iterator[tuple[Line, list[str] | BadLineError] | None]:
    """CSV records, each as the line it fills (or the lines, joined) and its fields."""
    parts: list[Line] = []  # of a record whose quoted value goes on
    for next_line in chain(lines, (_END,)):
        if next_line is None:
            yield None
            continue
        to_read = deque((next_line,))
        while to_read:
            line = to_read.popleft()
            if not (parts or line.data or line.problem):
                continue
            whole = _joined([*parts, line])
            fields = BadLineError("open_quote") if line is _END else _csv_fields(whole, delimiter, encoding)
            if fields is None and len(parts) < MAX_RECORD_LINES - 1:
                parts.append(line)
            elif parts and not isinstance(fields, list):
                # The closing quote is missing: the first line is at fault, the others are read again on their own.
                yield parts[0], BadLineError("open_quote")
                to_read.extendleft((line, *reversed(parts[1:])))
                parts = []
            elif fields is not None:
                yield whole, fields
                parts = []


def _joined(parts: list[Line]) -> Line:
    if len(parts) == 1:
        return parts[0]
    first, last = parts[0], parts[-1]
    return Line(first.number, first.start, last.end, b"\n".join(part.data for part in parts), last.finished, last.problem)


def _csv_fields(line: Line, delimiter: str, encoding: str) -> list[str] | BadLineError | None:
    """The fields of one record, None when a quoted value goes on in the next line."""
    if line.problem:
        return BadLineError(line.problem)
    try:
        return next(csv.reader([_text(line, encoding)], delimiter=delimiter, strict=True))
    except csv.Error as error:
        return None if "unexpected end of data" in str(error) else BadLineError("not_csv", str(error))
    except BadLineError as error:
        return error


def _text(line: Line, encoding: str) -> str:
    if line.problem:
        raise BadLineError(line.problem)
    try:
        return line.data.decode(encoding)
    except UnicodeDecodeError as error:
        raise BadLineError("wrong_encoding", f"byte {error.start} is not {encoding}") from error


def _broken(line: Line, error: BadLineError) -> Row:
    return Row(line.number, line.start, line.end, line.data, {}, error.problem, error.detail)
