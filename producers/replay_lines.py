"""The lines of a file with their numbers and byte offsets: plain or gzip, read to its end or followed while it grows."""

import gzip
import os
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import IO, cast

from msgspec import Struct

from loglake.errors import BadInputError

#: A longer line is reported, not read: more than twice what a Kafka record may hold.
MAX_LINE_BYTES = 2 * 1024 * 1024
_GZIP_MAGIC = b"\x1f\x8b"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
#: How many bytes before the position are looked at to see whether a followed file is still the same one.
_TAIL_BYTES = 64


class Line(Struct, frozen=True, gc=False):
    """One physical line: `number` from 1, `data` without its line end, [start, end) its bytes in the (unpacked) file.

    `finished` is whether its line end is there; with a `problem` (a key of replay_report.REASONS) `data` is empty.
    """

    number: int
    start: int
    end: int
    data: bytes
    finished: bool = True
    problem: str = ""


def open_file(path: Path) -> IO[bytes]:
    """The file, opened for reading bytes; BadInputError when that is impossible."""
    try:
        return path.open("rb")
    except OSError as error:
        raise BadInputError(f"{path} cannot be read: {error.strerror}") from error


def is_gzip(stream: IO[bytes]) -> bool:
    """Whether a file's content is gzip, whatever its name."""
    return os.pread(stream.fileno(), len(_GZIP_MAGIC), 0) == _GZIP_MAGIC


def read_lines(path: Path) -> Iterator[Line]:
    """Every line of a plain or gzip file. A gzip file that breaks off ends in one Line with a problem."""
    with open_file(path) as file, _unpacked(file) as stream:
        line = Line(0, 0, 0, b"")
        try:
            while (line_after := _next_line(stream, line)) is not None:
                line = line_after
                yield line
        except (EOFError, gzip.BadGzipFile, zlib.error):
            yield Line(line.number + 1, line.end, line.end, b"", problem="gzip_ends_early")


def _unpacked(file: IO[bytes]) -> AbstractContextManager[IO[bytes]]:
    return cast(IO[bytes], gzip.open(file, "rb")) if is_gzip(file) else nullcontext(file)


def follow_lines(stream: IO[bytes], path: Path) -> Iterator[Line | None]:
    """The lines of a growing file, opened from `path`: None whenever there is nothing new yet. Ends when it was replaced or cut.

    A line counts once its end is written; the unfinished last line of a replaced file is its last.
    """
    line, seen, was_replaced = Line(0, 0, 0, b""), b"", False
    # Other bytes before the place that was reached, or none, mean that the file was cut, perhaps while it was read.
    while len(seen) == min(line.end, _TAIL_BYTES) and _tail(stream, line.end) == seen:
        while (line_after := _next_line(stream, line)) is not None and line_after.finished:
            line = line_after
            yield line
        if was_replaced:
            if line_after is not None:
                yield line_after
            return
        # Looked at once more after the change was seen: a writer may still finish its last line in the old file.
        was_replaced = _is_replaced(stream, path)
        seen = _tail(stream, line.end)
        stream.seek(line.end)
        yield None


def _tail(stream: IO[bytes], end: int) -> bytes:
    """The last few bytes before `end`, fewer when the file does not reach to it."""
    size = min(end, _TAIL_BYTES)
    return os.pread(stream.fileno(), size, end - size)


def _is_replaced(stream: IO[bytes], path: Path) -> bool:
    try:
        return not os.path.samestat(os.fstat(stream.fileno()), path.stat())
    except FileNotFoundError:
        return False  # renamed, and its successor is not there yet


def _next_line(stream: IO[bytes], before: Line) -> Line | None:
    data = stream.readline(MAX_LINE_BYTES + 1)
    if not data:
        return None
    number, start, end = before.number + 1, before.end, before.end + len(data)
    if len(data) > MAX_LINE_BYTES and not data.endswith(b"\n"):
        while not data.endswith(b"\n") and (more := stream.readline(MAX_LINE_BYTES)):
            data, end = more, end + len(more)
        return Line(number, start, end, b"", data.endswith(b"\n"), "line_too_long")
    if number == 1:
        data = data.removeprefix(_BYTE_ORDER_MARK)
    return Line(number, start, end, data.rstrip(b"\r\n"), data.endswith(b"\n"))
