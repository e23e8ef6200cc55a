"""Replay of rejected records, as they are or after a fix. Run as `python -m producers.replay_rejects …`.

Each record is decoded as the stream will decode it; what passes is sent to the topic as an event. Its id stays the same however often
it is sent, so the warehouse holds it once. The last line of standard output is the result as JSON.
"""

import argparse
import logging
import secrets
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from loglake import clients, decode, rejects, resolutions, timerange
from loglake.erasure import Position
from loglake.errors import ServiceError
from loglake.events import Event
from loglake.jobs import Result, report
from loglake.rejects import OPEN, REPLAYING, Rejected, Selection
from loglake.resolutions import Note
from loglake.settings import settings
from producers.fix import Fix, load_fix
from producers.publisher import Publisher
from producers.record import GOOD, Record

log = logging.getLogger("producers.replay_rejects")

#: What a replay takes up unless told otherwise.
WAITING = (OPEN, REPLAYING)


@dataclass(frozen=True)
class Replayed(Result):
    """What a replay did: `failed` counts by reason what would be rejected still; `batch` is in the notes of what was sent."""

    selected: int
    replayed: int
    failed: dict[str, int]
    dry_run: bool
    batch: str

    @property
    def note(self) -> str:
        reasons = ", ".join(f"{code} {count:,}" for code, count in sorted(self.failed.items(), key=lambda item: (-item[1], item[0])))
        still = f"; {sum(self.failed.values()):,} {'would fail' if self.dry_run else 'failed'}: {reasons}" if self.failed else ""
        if self.dry_run:
            return f"dry run: of {self.selected:,} rejected records {self.replayed:,} would be replayed{still}"
        return f"replay {self.batch}: of {self.selected:,} rejected records {self.replayed:,} were sent and acknowledged{still}"


class _Acknowledged:
    """The publisher's account: where each record came to lie, by the record itself, as two may be alike."""

    def __init__(self) -> None:
        self._positions: dict[int, Position] = {}

    def acknowledged(self, record: Record, partition: int, offset: int) -> None:
        self._positions[id(record)] = Position(settings().kafka.topic, partition, offset)

    def not_sent(self, record: Record, error: str) -> None:
        log.warning("%s was not sent: %s", _event(record).event_id, error)

    def flush(self) -> None:
        """Nothing is held back."""

    def take(self, record: Record) -> Position | None:
        """Where the record lies; None when it was not acknowledged."""
        return self._positions.pop(id(record), None)


def run(selection: Selection, fix: Fix | None, by: str, *, dry_run: bool = False) -> Replayed:
    """Replay the selection; ServiceError when a record was not acknowledged: it is taken up by the next replay."""
    note = Note(f"after fix {fix.fix}" if fix else "as it is", by, secrets.token_hex(4))
    selected, replayed, failed, account = 0, 0, Counter[str](), _Acknowledged()
    with clients.postgres("loader") as connection, ExitStack() as stack:
        sender = None
        if not dry_run:
            resolutions.only_repair(connection)
            sender = stack.enter_context(Publisher(settings().kafka.topic, account))
        for page in rejects.pages(connection, selection):
            passed = _passed(page, fix, failed)
            selected, replayed = selected + len(page), replayed + len(passed)
            if sender is not None and passed:
                _send(connection, sender, account, passed, note)
    return Replayed(selected, replayed, dict(failed), dry_run, note.batch)


def _passed(page: list[Rejected], fix: Fix | None, failed: Counter[str]) -> list[tuple[Rejected, Record]]:
    """Those of a page that are events now, with what is to be sent; the others are counted in `failed`."""
    passed = []
    for rejected in page:
        try:
            passed.append((rejected, record_of(rejected, fix)))
        except decode.Reject as reject:
            failed[reject.code] += 1
    return passed


def record_of(rejected: Rejected, fix: Fix | None) -> Record:
    """The record that is sent in place of a rejected one; raises decode.Reject.

    Judged by the time it is now, as the stream will. Once an id was given to it, it is sent under no other, and once a person was
    forgotten whose it was, no more.
    """
    if rejected.erased:
        raise decode.Reject("erased", "a person was forgotten, and this record or the event it became was theirs")
    content = fix.applied(rejected.payload, rejected.position, rejected.kafka_timestamp) if fix else rejected.payload
    event = decode.decode(content, datetime.now(UTC), settings().stream.max_payload_bytes)
    if rejected.event_id not in (None, event.event_id):
        raise decode.Reject("other_event_id", f"it was replayed as event {rejected.event_id} before, and would now be {event.event_id}")
    return Record(event.session_id.encode(), content, GOOD, event)


def _event(record: Record) -> Event:
    if record.event is None:
        raise TypeError("a record that is replayed is an event")
    return record.event


def _send(
    connection: psycopg.Connection, sender: Publisher, account: _Acknowledged, passed: list[tuple[Rejected, Record]], note: Note
) -> None:
    """Note, send, wait for the broker, note where each lies."""
    resolutions.begin(connection, [(rejected, _event(record).event_id) for rejected, record in passed], note)
    for _, record in passed:
        sender.send(record)
    sender.flush()
    places = [(rejected, account.take(record)) for rejected, record in passed]
    resolutions.sent(connection, [(rejected, place) for rejected, place in places if place is not None])
    lost = sum(place is None for _, place in places)
    if lost:
        raise ServiceError(f"{lost} records were not acknowledged: run the same replay again, it takes them up")


def main() -> None:
    parser = timerange.parser("Send rejected records again, as they are or after a fix.", required=False)
    parser.add_argument("--code", help="only records rejected with this code")
    parser.add_argument("--fix", type=Path, help="a fix file (docs/rejects.md)")
    parser.add_argument("--by", required=True, help="who replays, for the books")
    arguments = parser.parse_args()
    report(log, lambda: _replay(arguments).as_json())


def _replay(arguments: argparse.Namespace) -> Replayed:
    selection = Selection(arguments.code, received=timerange.parse(arguments.start, arguments.end), states=WAITING)
    fix = load_fix(arguments.fix) if arguments.fix else None
    return run(selection, fix, arguments.by, dry_run=arguments.dry_run)


if __name__ == "__main__":
    main()
