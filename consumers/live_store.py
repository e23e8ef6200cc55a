"""The live tables as the stream writes them: all that a batch changes in one transaction, with how far the stream has come.

Windows are written whole, so the same batch twice leaves the same rows; a batch that is not committed has not happened.
"""

import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from consumers import live_pane
from consumers.bronze import EPOCH
from consumers.live_pane import RANKED, Pane
from consumers.live_rows import LiveRow
from consumers.live_windows import Fold, Windows
from loglake import live
from loglake.errors import ServiceError
from loglake.topic import LIVE_STREAM

_TOTALS = """
insert into live.window_total
select width, start, events, users, sessions, orders, errors, p50, p95, p99, now()
from unnest(%s::smallint[], %s::timestamptz[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[],
            %s::double precision[], %s::double precision[], %s::double precision[])
    as new (width, start, events, users, sessions, orders, errors, p50, p95, p99)
on conflict (width_seconds, window_start) do update
set events = excluded.events, users = excluded.users, sessions = excluded.sessions, orders = excluded.orders, errors = excluded.errors,
    latency_p50_ms = excluded.latency_p50_ms, latency_p95_ms = excluded.latency_p95_ms, latency_p99_ms = excluded.latency_p99_ms,
    updated_at = excluded.updated_at
"""
#: What was among the most frequent may no longer be.
_CLEAR_RANKED = """
delete from live.window_count using unnest(%s::smallint[], %s::timestamptz[]) as changed (width, start)
where width_seconds = width and window_start = start and dimension = any(%s)
"""
_COUNTS = """
insert into live.window_count
select * from unnest(%s::smallint[], %s::timestamptz[], %s::text[], %s::text[], %s::bigint[])
on conflict (width_seconds, window_start, dimension, key) do update set events = excluded.events
where window_count.events <> excluded.events
"""
_REVENUE = """
insert into live.window_revenue
select * from unnest(%s::smallint[], %s::timestamptz[], %s::text[], %s::text[], %s::bigint[], %s::numeric[])
on conflict (width_seconds, window_start, payment_method, currency) do update set orders = excluded.orders, revenue = excluded.revenue
"""
_LATE = """
insert into live.late_count select * from unnest(%s::timestamptz[], %s::bigint[])
on conflict (minute) do update set events = late_count.events + excluded.events
"""
_PANES = """
insert into live.pane select * from unnest(%s::timestamptz[], %s::bytea[])
on conflict (pane_start) do update set state = excluded.state
"""
_PANE_EVENTS = "insert into live.pane_event (pane_start, query_id, batch_id, event_ids) values (%s, %s, %s, %s)"
#: A record that was erased does not come back from Kafka, which still has it.
_LATEST = """
insert into live.latest_event
select * from unnest(%s::text[], %s::integer[], %s::bigint[], %s::uuid[], %s::timestamptz[], %s::timestamptz[], %s::text[], %s::text[],
                     %s::text[], %s::text[], %s::text[], %s::text[], %s::text[])
    as new (topic, partition, "offset")
where not exists (
    select from ops.erased_record as erased
    where erased.topic = new.topic and erased.partition = new.partition and erased."offset" = new."offset"
)
on conflict do nothing
"""
_TRIM_LATEST = """
delete from live.latest_event
where (received_at, partition, "offset") < (
    select received_at, partition, "offset" from live.latest_event
    order by received_at desc, partition desc, "offset" desc offset %s limit 1
)
"""
_STATE = """
update live.stream_state
set query_id = %(query_id)s, next_offsets = %(next_offsets)s, batch_id = %(batch_id)s, batch_rows = %(rows)s, batch_rejected = %(rejected)s,
    batch_late = %(late)s, batch_repeated = %(repeated)s, batch_ms = %(milliseconds)s, max_event_time = %(newest)s,
    watermark = %(watermark)s, updated_at = now()
where stream = %(stream)s
"""
_IS_AS_LEFT = "select from live.stream_state where stream = %s and next_offsets = %s for update"
_BEGIN = """
insert into live.stream_state (stream, query_id, topic, topic_id, next_offsets, batch_id, batch_rows, batch_rejected, batch_late,
                               batch_repeated, batch_ms, updated_at)
values (%s, '', %s, %s, %s, -1, 0, 0, 0, 0, 0, now())
"""
_OLD = (
    "delete from live.window_total where window_start < %(moment)s",
    "delete from live.window_count where window_start < %(moment)s",
    "delete from live.window_revenue where window_start < %(moment)s",
    "delete from live.late_count where minute < %(moment)s",
)
_ID_BYTES = 16


@dataclass(frozen=True)
class Batch:
    """A folded batch: what is written of it.

    `before` are the offsets that it began at, `floor` the moment (microseconds) that windows are kept from, `latest` the rows that go into
    the newest events, of which `most_latest` are kept; `began` is by `time.monotonic`.
    """

    query_id: str
    batch_id: int
    fold: Fold
    before: dict[int, int]
    floor: int
    latest: list[LiveRow]
    most_latest: int
    began: float


@dataclass(frozen=True)
class Position:
    """The topic that the live tables were filled from, and how far."""

    topic: str
    topic_id: str
    next_offsets: dict[int, int]


def moment(since_1970: int) -> datetime:
    return EPOCH + timedelta(microseconds=since_1970)


def microseconds(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


def position(connection: psycopg.Connection) -> Position | None:
    """How far the tables have come; None when they are new."""
    query = "select topic, topic_id, next_offsets from live.stream_state where stream = %s"
    row = connection.execute(query, [LIVE_STREAM]).fetchone()
    return Position(row[0], row[1], {int(number): offset for number, offset in row[2].items()}) if row else None


def load(connection: psycopg.Connection, lateness: int, next_offsets: dict[int, int]) -> Windows:
    """The state as the last batch left it; msgspec.MsgspecError or ValueError when another release wrote it."""
    query = "select max_event_time, watermark from live.stream_state where stream = %s"
    newest, watermark = (found and microseconds(found) for found in connection.execute(query, [LIVE_STREAM]).fetchall()[0])
    windows = Windows(lateness, next_offsets=dict(next_offsets), newest=newest, least=watermark or 0)
    for start, state in connection.execute("select pane_start, state from live.pane"):
        windows.panes[microseconds(start)] = live_pane.decode(state)
    for start, ids in connection.execute("select pane_start, event_ids from live.pane_event"):
        keys = (ids[at : at + _ID_BYTES] for at in range(0, len(ids), _ID_BYTES))
        windows.seen.update(dict.fromkeys(keys, microseconds(start)))
    return windows


def reset(connection: psycopg.Connection, start: Position) -> None:
    """Empty the live tables, and note where the stream begins."""
    with connection.transaction():
        connection.execute("truncate " + ", ".join(live.TABLES))
        connection.execute(_BEGIN, [LIVE_STREAM, start.topic, start.topic_id, Jsonb(_keyed(start.next_offsets))])


def move(connection: psycopg.Connection, next_offsets: dict[int, int]) -> None:
    """Note that the stream goes on from here."""
    query = "update live.stream_state set next_offsets = %s where stream = %s"
    connection.execute(query, [Jsonb(_keyed(next_offsets)), LIVE_STREAM])


def write(connection: psycopg.Connection, windows: Windows, batch: Batch) -> None:
    """Write what a batch changed, in one transaction; ServiceError when the tables are not as this stream left them."""
    changed = windows.changed_windows(batch.fold.changed, batch.floor)
    states = [(moment(start), windows.panes[start].encode()) for start in sorted(batch.fold.changed)]
    useful, is_open = windows.close(batch.floor)
    with connection.transaction():
        if connection.execute(_IS_AS_LEFT, [LIVE_STREAM, Jsonb(_keyed(batch.before))]).fetchone() is None:
            raise ServiceError("the live tables are not as this stream left them: they were restored, or another stream writes them")
        _write_windows(connection, changed)
        _many(connection, _PANES, states)
        for start, ids in batch.fold.ids.items():
            connection.execute(_PANE_EVENTS, [moment(start), batch.query_id, batch.batch_id, b"".join(ids)])
        connection.execute("delete from live.pane where pane_start < %s", [moment(useful)])
        connection.execute("delete from live.pane_event where pane_start < %s", [moment(is_open)])
        _many(connection, _LATE, [(moment(minute), events) for minute, events in sorted(batch.fold.late.items())])
        _many(connection, _LATEST, map(_latest, batch.latest))
        connection.execute(_TRIM_LATEST, [batch.most_latest - 1])
        _advance(connection, windows, batch)


def remove_old(connection: psycopg.Connection, before: datetime) -> None:
    """Remove windows that begin before this moment."""
    for statement in _OLD:
        connection.execute(statement, {"moment": before})


def _advance(connection: psycopg.Connection, windows: Windows, batch: Batch) -> None:
    """Note how far the stream has come."""
    fold = batch.fold
    values = {
        "stream": LIVE_STREAM,
        "next_offsets": Jsonb(_keyed(windows.next_offsets)),
        "query_id": batch.query_id,
        "batch_id": batch.batch_id,
        "rows": fold.rows,
        "rejected": fold.rejected,
        "late": fold.late.total(),
        "repeated": fold.repeated,
        "milliseconds": round((time.monotonic() - batch.began) * 1000),
        "newest": None if windows.newest is None else moment(windows.newest),
        "watermark": None if windows.watermark is None else moment(windows.watermark),
    }
    connection.execute(_STATE, values)


def _write_windows(connection: psycopg.Connection, changed: dict[tuple[int, int], Pane]) -> None:
    keys = [(width, moment(start)) for width, start in changed]
    windows = list(zip(keys, changed.values(), strict=True))
    _many(connection, _TOTALS, [(*key, *_totals(pane)) for key, pane in windows])
    if keys:
        connection.execute(_CLEAR_RANKED, [*map(list, zip(*keys, strict=True)), list(RANKED)])
    _many(connection, _COUNTS, [(*key, *value) for key, pane in windows for value in pane.values()])
    _many(connection, _REVENUE, [(*key, *by, *sums) for key, pane in windows for by, sums in pane.revenue.items()])


def _totals(pane: Pane) -> tuple[Any, ...]:
    distinct = round(pane.users.get_estimate()), round(pane.sessions.get_estimate())
    return pane.events, *distinct, pane.orders, pane.errors, *pane.quantiles()


def _latest(row: LiveRow) -> tuple[Any, ...]:
    place = row.topic, row.partition, row.offset
    event_id, happened = (uuid.UUID(row.event_id), moment(row.event_time)) if row.event_id else (None, None)
    told = row.event_type, row.country, row.city and row.city.partition("/")[2], row.device, row.user_id, row.reject_reason, row.payload
    return *place, event_id, happened, moment(row.received), *told


def _many(connection: psycopg.Connection, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
    """Run a statement once for all rows, an array per column; not at all for none."""
    if columns := [list(column) for column in zip(*rows, strict=True)]:
        connection.execute(statement.encode(), columns)


def _keyed(offsets: dict[int, int]) -> dict[str, int]:
    return {str(number): offset for number, offset in sorted(offsets.items())}
