"""Rejected records and what has become of each: read from `raw.rejected_events` and `ops.reject_resolution`.

A rejected record stays where it is, in lake and raw; its fate is noted beside it (loglake/resolutions.py writes it). Nothing noted
means open. Every `connection` may be the monitor's.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from loglake import decode, raw_partitions
from loglake.erasure import Position
from loglake.errors import BadInputError
from loglake.settings import settings
from loglake.timerange import TimeRange

#: What can have become of a rejected record. Of `replaying` the replay is running, or was killed; `rejected_again`: what it sent was too.
OPEN, REPLAYING, REPLAYED, REJECTED_AGAIN, GIVEN_UP = STATES = ("open", "replaying", "replayed", "rejected_again", "given_up")
_PAGE_RECORDS = 200

_STATED = """
with stated as (
    select held.topic, held.partition, held."offset", held.kafka_timestamp, held.reject_reason, held.payload,
           split_part(held.reject_reason, ':', 1) as code,
           case
               when noted.state is null then 'open'
               when noted.state = 'replayed' and again.topic is not null then 'rejected_again'
               else noted.state
           end as state,
           noted.event_id::text as event_id, noted.reason, noted.resolved_by, noted.resolved_at, noted.batch,
           noted.arrived_at is not null
               or coalesce((select true from raw.log_events as event where event.event_id = noted.event_id), false) as arrived,
           exists (
               select from ops.erased_record as gone where (gone.topic, gone.partition, gone."offset")
               in ((held.topic, held.partition, held."offset"), (noted.sent_topic, noted.sent_partition, noted.sent_offset))
           ) as erased,
           again.reject_reason as rejected_again, noted.sent_topic, noted.sent_partition, noted.sent_offset
    from raw.rejected_events as held
        left join ops.reject_resolution as noted using (topic, partition, "offset")
        left join raw.rejected_events as again
            on again.topic = noted.sent_topic and again.partition = noted.sent_partition and again."offset" = noted.sent_offset
)
"""
_WHERE = """
where (%(code)s::text is null or code = %(code)s)
    and (%(topic)s::text is null or topic = %(topic)s)
    and (%(partition)s::int is null or partition = %(partition)s)
    and (%(first)s::bigint is null or "offset" >= %(first)s)
    and (%(last)s::bigint is null or "offset" <= %(last)s)
    and (%(start)s::timestamptz is null or kafka_timestamp >= %(start)s)
    and (%(end)s::timestamptz is null or kafka_timestamp < %(end)s)
    and state = any(%(states)s)
"""
_LIST = """
select * from stated {where}
order by kafka_timestamp desc, topic, partition, "offset" desc
limit %(limit)s
"""
_PAGE = """
select * from stated {where} and (topic, partition, "offset") > (%(after_topic)s, %(after_partition)s, %(after_offset)s)
order by topic, partition, "offset"
limit %(limit)s
"""
_GROUPS = """
select code, count(*) as records, count(*) filter (where state = 'open') as open,
       min(kafka_timestamp) as first_seen, max(kafka_timestamp) as last_seen,
       (array_agg(topic || '/' || partition || '/' || "offset" order by kafka_timestamp desc))[1] as sample,
       (array_agg(reject_reason order by kafka_timestamp desc))[1] as sample_reason
from stated {where}
group by code
order by records desc, code
"""
_ONE = """
select * from stated where topic = %s and partition = %s and "offset" = %s
"""
_COUNTS = """
select count(*) filter (where state = 'open'), count(*) filter (where state = 'replaying'), count(*) filter (where state = 'replayed'),
       count(*) filter (where state = 'rejected_again'), count(*) filter (where state = 'given_up'),
       count(*) filter (where state = 'replayed' and not arrived and not erased and event_id::uuid >= %(floor)s)
from stated
"""


@dataclass(frozen=True)
class Counts:
    """How many rejected records are in which state; `missing` of the replayed ones have not arrived in raw (or not yet)."""

    open: int = 0
    replaying: int = 0
    replayed: int = 0
    rejected_again: int = 0
    given_up: int = 0
    missing: int = 0


@dataclass(frozen=True)
class Selection:
    """Which rejected records are meant; what is None selects nothing away."""

    code: str | None = None
    topic: str | None = None
    partition: int | None = None
    first_offset: int | None = None
    last_offset: int | None = None
    received: TimeRange = field(default_factory=TimeRange)
    states: tuple[str, ...] = STATES

    def __post_init__(self) -> None:
        if self.code is not None and self.code not in decode.REASONS:
            raise BadInputError(f"reject code {self.code!r} is none: {', '.join(decode.REASONS)}")
        for state in self.states:
            if state not in STATES:
                raise BadInputError(f"state {state!r} is none: {', '.join(STATES)}")

    @property
    def is_everything(self) -> bool:
        """Whether nothing but the state narrows it."""
        return self == Selection(states=self.states)

    def parameters(self) -> dict[str, object]:
        return {
            "code": self.code,
            "topic": self.topic,
            "partition": self.partition,
            "first": self.first_offset,
            "last": self.last_offset,
            "start": self.received.start,
            "end": self.received.end,
            "states": list(self.states),
        }


@dataclass(frozen=True)
class Rejected:
    """A rejected record and what is noted of it, None while it is open. `arrived`: raw has its event; `erased`: it, or that, is booked."""

    topic: str
    partition: int
    offset: int
    kafka_timestamp: datetime
    reject_reason: str
    payload: bytes | None = field(repr=False)
    code: str
    state: str
    event_id: str | None
    reason: str | None
    resolved_by: str | None
    resolved_at: datetime | None
    batch: str | None
    arrived: bool
    erased: bool
    rejected_again: str | None
    sent_topic: str | None
    sent_partition: int | None
    sent_offset: int | None

    @property
    def position(self) -> Position:
        return Position(self.topic, self.partition, self.offset)

    def as_dict(self) -> dict[str, Any]:
        """The fields but the payload, and how long that is."""
        found = asdict(self)
        payload = found.pop("payload")
        return {**found, "bytes": None if payload is None else len(payload)}


def parse_position(text: str) -> Position:
    """`TOPIC/PARTITION/OFFSET`, or `PARTITION/OFFSET` in the topic now in use; BadInputError for anything else."""
    parts = text.split("/")
    if len(parts) in (2, 3) and all(part.isascii() and part.isdigit() for part in parts[-2:]):
        topic = parts[0] if len(parts) == 3 else settings().kafka.topic
        return Position(topic, int(parts[-2]), int(parts[-1]))
    raise BadInputError(f"position {text!r} is none: write TOPIC/PARTITION/OFFSET, as `loglake rejects list` shows it")


def show_position(position: Position) -> str:
    """The position as `parse_position` reads it."""
    return "/".join(str(part) for part in position)


def listed(connection: psycopg.Connection, selection: Selection, limit: int) -> list[Rejected]:
    """The newest records of the selection."""
    return _rejected(connection, _LIST, {**selection.parameters(), "limit": limit})


def pages(connection: psycopg.Connection, selection: Selection) -> Iterator[list[Rejected]]:
    """All records of the selection in the order of their positions, a page at a time; each is read when it is asked for."""
    after = Position("", -1, -1)
    while True:
        names = {"after_topic": after.topic, "after_partition": after.partition, "after_offset": after.offset}
        page = _rejected(connection, _PAGE, {**selection.parameters(), **names, "limit": _PAGE_RECORDS})
        if not page:
            return
        yield page
        after = page[-1].position


def groups(connection: psycopg.Connection, selection: Selection) -> list[dict[str, Any]]:
    """One line per reason: code, records, open, first_seen, last_seen, sample (the newest one's position), sample_reason."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(_query(_GROUPS), selection.parameters()).fetchall()


def one(connection: psycopg.Connection, position: Position) -> Rejected:
    """The rejected record there; BadInputError when there is none."""
    found = _rejected(connection, _ONE, position)
    if not found:
        raise BadInputError(f"no rejected record at {show_position(position)} is loaded: see `loglake rejects list`")
    return found[0]


def counts(connection: psycopg.Connection) -> Counts:
    """How many records are in which state. An event of a month that raw keeps no longer has no need to arrive."""
    return Counts(*connection.execute(_query(_COUNTS), {"floor": raw_partitions.floor(connection)}).fetchall()[0])


def verdict(payload: bytes | None) -> str | None:
    """Why the decoder of this release would reject the record if it came now; None when it would pass."""
    try:
        decode.decode(payload, datetime.now(UTC), settings().stream.max_payload_bytes)
    except decode.Reject as reject:
        return str(reject)
    return None


def readable(payload: bytes | None) -> str:
    """The bytes as text where they are, else as hexadecimal digits."""
    if payload is None:
        return "(no value)"
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        return payload.hex(" ")
    return payload.hex(" ") if "\0" in text else text


def _query(statement: LiteralString) -> sql.Composed:
    """The statement over `stated`, narrowed to a selection where it says so."""
    return sql.SQL(_STATED) + sql.SQL(statement).format(where=sql.SQL(_WHERE))


def _rejected(connection: psycopg.Connection, statement: LiteralString, parameters: Any) -> list[Rejected]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return [Rejected(**row) for row in cursor.execute(_query(statement), parameters).fetchall()]
