"""Follow a growing file: send what it gains, and remember after each acknowledgement how far it was read.

The position is committed only behind what Kafka has acknowledged, so a follower that is killed reads a little twice and
leaves nothing out; the ids are the same, so reading twice adds nothing.
"""

import os
import threading
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import IO

import msgspec
from msgspec import Struct

from loglake.errors import BadInputError
from loglake.settings import settings
from producers.replay import Sink, deliver, outcomes, settle
from producers.replay_entries import BEGINNING, Position
from producers.replay_lines import follow_lines, is_gzip, open_file
from producers.replay_mapping import SourceMapping
from producers.replay_report import Summary

#: A commit waits for every record in flight: often enough that little is read twice, rarely enough to cost nothing.
COMMIT_EVERY = 5_000
_FINGERPRINT_BYTES = 4096


class Committed(Struct, frozen=True):
    """A position file: the place in the file, and a fingerprint of what lies before it."""

    file: str
    source: str
    position: Position
    fingerprint: str


class PositionFile:
    """Where the position of one followed file is kept: `<runtime>/replay/`, a file per source and path."""

    def __init__(self, path: Path, source: str, folder: Path) -> None:
        self._followed, self._source = path.resolve(), source
        self.path = folder / f"{source}-{blake2b(os.fsencode(self._followed), digest_size=8).hexdigest()}.json"

    def load(self, stream: IO[bytes]) -> tuple[Position, bool]:
        """The committed position, and whether it was committed for another file than `stream` (then reading starts anew)."""
        try:
            committed = msgspec.json.decode(self.path.read_bytes(), type=Committed)
        except FileNotFoundError:
            return BEGINNING, False
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise BadInputError(f"position file {self.path} is damaged: delete it to read the file from its beginning") from error
        if committed.fingerprint != _fingerprint(stream, committed.position.offset):
            return BEGINNING, True
        return committed.position, False

    def commit(self, position: Position, stream: IO[bytes]) -> None:
        """Write the position so that a crash leaves either the old one or the new one."""
        fingerprint = _fingerprint(stream, position.offset)
        if fingerprint is None:
            return  # the file was cut meanwhile: its new content is read from the beginning
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_suffix(f".{os.getpid()}.new")
        with draft.open("wb") as file:
            file.write(msgspec.json.encode(Committed(str(self._followed), self._source, position, fingerprint)))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.path)


def _fingerprint(stream: IO[bytes], offset: int) -> str | None:
    """Tells a file from its successor: a hash of its first bytes and of the last ones before `offset`; None when it is shorter."""
    size = min(offset, _FINGERPRINT_BYTES)
    first, last = os.pread(stream.fileno(), size, 0), os.pread(stream.fileno(), size, offset - size)
    return blake2b(first + last, digest_size=16).hexdigest() if len(last) == size else None


def positions_folder() -> Path:
    return settings().runtime.runtime_dir / "replay"


class Follower:
    """Sends what one file holds and gains, from where the last follower stopped.

    An order of several lines is sent when the first line of another one has been read.
    """

    def __init__(self, path: Path, mapping: SourceMapping, sink: Sink, summary: Summary, folder: Path | None = None) -> None:
        self._path, self._mapping, self._sink, self._summary = path, mapping, sink, summary
        self._positions = PositionFile(path, mapping.source, folder or positions_folder())

    def run(self, stop: threading.Event, notice: Callable[[str], None], poll_seconds: float = 1.0) -> None:
        """Follow until `stop` is set, across replaced and cut files; `notice` is told about them."""
        with open_file(self._path) as stream:
            if is_gzip(stream):
                raise BadInputError(f"{self._path} is gzip and cannot be followed: replay it without --follow")
            start, is_other = self._positions.load(stream)
            if is_other:
                notice(f"{self._path.name} is not the file followed before: reading it from its beginning. Replay the older one, too.")
            self._follow(stream, start, stop, poll_seconds)
        while not stop.is_set():
            notice(f"{self._path.name} was replaced or cut: reading the new one")
            with open_file(self._path) as stream:
                self._follow(stream, BEGINNING, stop, poll_seconds)
        self._summary.files += 1

    def _follow(self, stream: IO[bytes], start: Position, stop: threading.Event, poll_seconds: float) -> None:
        """Follow one file until it is replaced or cut, or `stop` is set."""
        lines = follow_lines(stream, self._path)
        reached, waiting = start, 0
        for outcome in outcomes(self._path, lines, self._mapping, start, max_bytes=settings().stream.max_payload_bytes):
            if outcome is not None:
                deliver(outcome, self._path, self._sink, self._summary)
                reached, waiting = outcome.resume, waiting + 1
            if waiting and (outcome is None or waiting >= COMMIT_EVERY):
                self._commit(reached, stream)
                waiting = 0
            if stop.is_set():
                break
            if outcome is None:
                stop.wait(poll_seconds)
        if waiting:
            self._commit(reached, stream)

    def _commit(self, reached: Position, stream: IO[bytes]) -> None:
        settle(self._sink)
        self._positions.commit(reached, stream)
