"""The books of erasures: which records of the lake were erased on a person's request. Where they lay, and nothing of what they said.

An erasure is booked before anything is erased, so that a killed one can be finished, and a record that is missing without
a booking still unbalances the books.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
import psycopg

DDL = """
create table if not exists ops.erasure (
    erasure_id bigint generated always as identity primary key,
    subject text not null,
    newest_record timestamptz not null,
    started_at timestamptz not null,
    finished_at timestamptz
);
comment on table ops.erasure is 'One row per `loglake forget` that found something; finished_at is null until nothing is left';
comment on column ops.erasure.subject is 'vault.pseudonym of the user id';
create table if not exists ops.erased_record (
    topic text not null,
    partition integer not null,
    "offset" bigint not null,
    erasure_id bigint not null references ops.erasure,
    primary key (topic, partition, "offset")
);
comment on table ops.erased_record is 'One row per record that was erased from the lake: its position in Kafka';
"""

_OPEN = "select coalesce(array_agg(erasure_id order by erasure_id), '{}'), max(newest_record) from ops.erasure where finished_at is null"
_BOOK = """
insert into ops.erasure (subject, newest_record, started_at) values (vault.pseudonym(%s), %s, now()) returning erasure_id
"""
#: Booked before is what a killed run left, or what was brought back after it was erased, and goes again.
_BOOK_RECORDS = """
insert into ops.erased_record select * from found
on conflict (topic, partition, "offset") do update set erasure_id = excluded.erasure_id
"""
_POSITIONS = """
select topic, partition, "offset" from ops.erased_record join ops.erasure using (erasure_id)
where finished_at is null order by 1, 2, 3
"""
_OPEN_SINCE = "select count(*) from ops.erasure where finished_at is null or finished_at >= %s"
_ERASED = 'select topic, partition, array_agg("offset") from ops.erased_record group by topic, partition'
#: What is booked, and what is the person's among the rows whose records the lake has retired.
_IN_RAW = """
with booked as (
    select topic, partition, "offset" from ops.erased_record where erasure_id = any(%(open)s)
), events as (
    select count(*) as rows, max(kafka_timestamp) as newest from raw.log_events as held
    where (topic, partition, "offset") in (select * from booked) or user_id = %(user_id)s and exists (
        select from ops.retired_day as gone where gone.topic = held.topic and gone.partition = held.partition
            and held."offset" between gone.first_offset and gone.last_offset
    )
), rejects as (
    select count(*) as rows, max(kafka_timestamp) as newest from raw.rejected_events as held
    where (topic, partition, "offset") in (select * from booked) or exists (
        select from ops.retired_day as gone, unnest(%(needles)s::bytea[]) as needle
        where gone.topic = held.topic and gone.partition = held.partition
            and held."offset" between gone.first_offset and gone.last_offset and position(needle in held.payload) > 0
    )
)
select events.rows, rejects.rows,
       greatest(events.newest, rejects.newest, (select max(newest_record) from ops.erasure where erasure_id = any(%(open)s)))
from events, rejects
"""
#: A mart keeps people whom both lake and raw have retired.
_IN_MARTS = "select exists (select from marts.dim_users where user_id = %s)"
#: The offsets of each topic's partitions.
Offsets = dict[tuple[str, int], np.ndarray]


class Position(NamedTuple):
    """Where a record lies in Kafka."""

    topic: str
    partition: int
    offset: int


class Open(NamedTuple):
    """Erasures that are not finished, and when the broker received the newest of their records; None without any."""

    ids: list[int]
    newest: datetime | None


def book(connection: psycopg.Connection, user_id: str, positions: Iterable[Position], newest: datetime) -> None:
    """Note what is about to be erased; `connection` is the superuser's, as nobody else may ask for any pseudonym."""
    with connection.transaction(), connection.cursor() as cursor:
        (erasure_id,) = cursor.execute(_BOOK, [user_id, newest]).fetchall()[0]
        cursor.execute("create temporary table found (like ops.erased_record) on commit drop")
        with cursor.copy("copy found from stdin") as rows:
            for position in positions:
                rows.write_row((*position, erasure_id))
        cursor.execute(_BOOK_RECORDS)


def unfinished(connection: psycopg.Connection) -> Open:
    """The erasures that wait to be finished."""
    return Open(*connection.execute(_OPEN).fetchall()[0])


def open_since(connection: psycopg.Connection, moment: datetime) -> int:
    """How many erasures are not finished, or were not at that moment: what was read since may still hold their records."""
    return int(connection.execute(_OPEN_SINCE, [moment]).fetchall()[0][0])


def positions(connection: psycopg.Connection) -> list[Position]:
    """The records of the unfinished erasures."""
    return [Position(*row) for row in connection.execute(_POSITIONS).fetchall()]


def in_warehouse(
    connection: psycopg.Connection, open_ids: list[int], user_id: str, needles: list[bytes]
) -> tuple[tuple[int, int], datetime | None]:
    """How many events and rejects of these erasures raw still holds, those of the person that the lake has retired included.

    `needles`: bytes of which one is in each reject that holds the id. And when the broker received the newest of all their records, now
    when nobody knows any more; None when the warehouse holds nothing of the person.
    """
    parameters = {"open": open_ids, "user_id": user_id, "needles": needles}
    events, rejects, newest = connection.execute(_IN_RAW, parameters).fetchall()[0]
    has_marts = connection.execute("select to_regclass('marts.dim_users') is not null").fetchone() == (True,)
    if newest is None and has_marts and connection.execute(_IN_MARTS, [user_id]).fetchone() == (True,):
        newest = datetime.now(UTC)
    return (events, rejects), newest


def finish(connection: psycopg.Connection, open_ids: list[int]) -> None:
    """Note that nothing of these erasures is left."""
    connection.execute("update ops.erasure set finished_at = %s where erasure_id = any(%s)", [datetime.now(UTC), open_ids])


def offsets(connection: psycopg.Connection) -> Offsets:
    """The offsets of all erased records."""
    return {(topic, partition): np.array(found) for topic, partition, found in connection.execute(_ERASED).fetchall()}
