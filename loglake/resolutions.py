"""What became of rejected records, in `ops.reject_resolution`: written by the loader, one row per record that is no longer open.

A record to be replayed is noted with the id of its event before it is sent, and again when it was acknowledged. So a replay that
was killed in between is taken up by the next one, which sends the event under the same id, and never under another.
"""

from collections.abc import Iterable
from typing import NamedTuple

import psycopg

from loglake import locks
from loglake.erasure import Position
from loglake.errors import LoadInProgressError
from loglake.rejects import Rejected

#: Advisory lock of a replay of rejects, or a backfill from Kafka: two at once would send or append the same twice. Of an erasure
#: too: a replay meanwhile would send what is being erased.
REPAIR_LOCK_KEY = 7_265_018
#: Longer than Postgres takes to notice that the client of a killed one is gone.
LOCK_TIMEOUT = "30s"
DDL = """
create table if not exists ops.reject_resolution (
    topic text not null,
    partition integer not null,
    "offset" bigint not null,
    state text not null check (state in ('replaying', 'replayed', 'given_up')),
    event_id uuid,
    reason text not null,
    resolved_by text not null,
    resolved_at timestamptz not null,
    batch text not null,
    sent_topic text,
    sent_partition integer,
    sent_offset bigint,
    arrived_at timestamptz,
    primary key (topic, partition, "offset"),
    constraint replayed_as_an_event check (state = 'given_up' or event_id is not null)
);
create index if not exists reject_resolution_under_way on ops.reject_resolution (event_id) where state = 'replayed' and arrived_at is null;
comment on table ops.reject_resolution is 'One row per rejected record that was replayed, or given up';
comment on column ops.reject_resolution.reason is 'Replayed: after which fix. Given up: why';
comment on column ops.reject_resolution.arrived_at is 'When a load found the event in raw.log_events; null until then';
"""
_BEGIN = """
insert into ops.reject_resolution (topic, partition, "offset", state, event_id, reason, resolved_by, resolved_at, batch)
values (%s, %s, %s, 'replaying', %s, %s, %s, clock_timestamp(), %s)
on conflict (topic, partition, "offset") do update
set state = excluded.state, event_id = excluded.event_id, reason = excluded.reason, resolved_by = excluded.resolved_by,
    resolved_at = excluded.resolved_at, batch = excluded.batch, arrived_at = null
"""
_SENT = """
update ops.reject_resolution
set state = 'replayed', resolved_at = clock_timestamp(), sent_topic = %s, sent_partition = %s, sent_offset = %s
where topic = %s and partition = %s and "offset" = %s
"""
_GIVE_UP = """
insert into ops.reject_resolution (topic, partition, "offset", state, reason, resolved_by, resolved_at, batch)
values (%s, %s, %s, 'given_up', %s, %s, clock_timestamp(), %s)
on conflict (topic, partition, "offset") do update
set state = excluded.state, reason = excluded.reason, resolved_by = excluded.resolved_by, resolved_at = excluded.resolved_at,
    batch = excluded.batch
"""
#: A scalar subquery, so that it is always a look into the index of raw's primary key.
_SETTLE = """
update ops.reject_resolution as noted set arrived_at = clock_timestamp()
where state = 'replayed' and arrived_at is null
    and (select true from raw.log_events as event where event.event_id = noted.event_id)
"""
_LOCATE = """
update ops.reject_resolution as noted
set sent_topic = found.topic, sent_partition = found.partition, sent_offset = found."offset"
from unnest(%s::uuid[], %s::text[], %s::integer[], %s::bigint[]) as found (event_id, topic, partition, "offset")
where noted.state = 'replaying' and noted.event_id = found.event_id
"""
_FORGET = """
delete from ops.reject_resolution as noted using ops.erased_record as erased
where erased.erasure_id = any(%s)
    and (noted.topic, noted.partition, noted."offset") = (erased.topic, erased.partition, erased."offset")
"""
_FORGET_SENT = """
update ops.reject_resolution as noted
set state = 'given_up', event_id = null, reason = 'the event it became was erased', resolved_by = 'loglake forget'
from ops.erased_record as erased
where erased.erasure_id = any(%s)
    and (noted.sent_topic, noted.sent_partition, noted.sent_offset) = (erased.topic, erased.partition, erased."offset")
"""


class Note(NamedTuple):
    """Who does something about rejected records, why or how, and a name for what one command did."""

    reason: str
    by: str
    batch: str


def only_repair(connection: psycopg.Connection) -> None:
    """Hold the lock of repairs for as long as the connection lives; LoadInProgressError when another one keeps it."""
    busy = LoadInProgressError("a replay of rejects, a backfill or an erasure is running: wait for it to end")
    locks.wait_for(connection, [REPAIR_LOCK_KEY], LOCK_TIMEOUT, busy)


def begin(connection: psycopg.Connection, found: Iterable[tuple[Rejected, str]], note: Note) -> None:
    """Note that these records are about to be sent as events with these ids; one transaction."""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(_BEGIN, [(*record.position, event_id, *note) for record, event_id in found])


def sent(connection: psycopg.Connection, found: Iterable[tuple[Rejected, Position]]) -> None:
    """Note where the records were acknowledged; one transaction."""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(_SENT, [(*position, *record.position) for record, position in found])


def give_up(connection: psycopg.Connection, positions: Iterable[Position], note: Note) -> None:
    """Note that nothing more will be done about these records; one transaction."""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(_GIVE_UP, [(*position, *note) for position in positions])


def settle(connection: psycopg.Connection) -> int:
    """Note which replayed records have arrived in raw; how many. Part of each load, so that what raw drops later stays accounted for."""
    return connection.execute(_SETTLE).rowcount


def locate(connection: psycopg.Connection, found: Iterable[tuple[str, Position]]) -> None:
    """Note where these events lie, by their ids, of replays that were killed before they could; the caller holds the lock of repairs."""
    ids, places = [], []
    for event_id, position in found:
        ids.append(event_id)
        places.append(position)
    connection.execute(_LOCATE, [ids, *([getattr(place, name) for place in places] for name in Position._fields)])


def forget(connection: psycopg.Connection, erasure_ids: list[int]) -> None:
    """Leave nothing of a person: no note on an erased record, and of one whose event was erased neither its id nor a reason."""
    with connection.transaction():
        connection.execute(_FORGET, [erasure_ids])
        connection.execute(_FORGET_SENT, [erasure_ids])
