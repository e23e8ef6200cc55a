"""The books of the lake's retention: which days left the lake because of their age, and how many records of each Kafka partition.

A retirement is booked before its days are deleted, so that one which was killed can be told from records that were lost. Raw and marts
keep what the lake retired, until they are made anew from the lake.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

import psycopg

from loglake.errors import BadInputError

DDL = """
create table if not exists ops.retirement (
    retirement_id bigint generated always as identity primary key,
    token uuid not null default gen_random_uuid(),
    booked_at timestamptz not null,
    deleted_at timestamptz,
    noted_at timestamptz
);
comment on table ops.retirement is 'One row per run of maintenance that retired days of the lake; deleted_at is null until they are gone';
comment on column ops.retirement.token is 'Stands in the summary of the snapshot that deleted the days';
comment on column ops.retirement.noted_at is 'When deleted_at was noted: later, when the run that deleted was killed';
create table if not exists ops.retired_day (
    retirement_id bigint not null references ops.retirement,
    day date not null,
    topic text not null,
    partition integer not null,
    records bigint not null,
    rejected bigint not null,
    first_offset bigint not null,
    last_offset bigint not null,
    primary key (retirement_id, day, topic, partition)
);
comment on table ops.retired_day is 'Days (of kafka_timestamp) that the lake retired, by Kafka partition: how many records went';
"""
#: The summary property of the snapshot that a retirement made: its token, as an older backup of Postgres would give its id away again.
SNAPSHOT_PROPERTY = "loglake.retirement"

_BOOK = "insert into ops.retirement (booked_at) values (clock_timestamp()) returning retirement_id, token"
_BOOK_DAY = "insert into ops.retired_day values (%s, %s, %s, %s, %s, %s, %s, %s)"
_OPEN = """
select retirement_id, token, booked_at, array_agg(distinct day) from ops.retirement join ops.retired_day using (retirement_id)
where deleted_at is null group by 1, 2, 3 order by 1
"""
_OPEN_SINCE = "select count(*) from ops.retirement where noted_at is null or noted_at >= %s"
_FINISH = "update ops.retirement set deleted_at = %s, noted_at = clock_timestamp() where retirement_id = %s"
_RANGES = """
select topic, partition, sum(records)::bigint, array_agg(array[first_offset, last_offset] order by first_offset)
from ops.retired_day join ops.retirement using (retirement_id)
where deleted_at is not null or %s group by topic, partition
"""
#: A rebuild makes raw and the manifests anew from what the lake holds then; what was retired later raw still has. A day that is only booked
#: may be gone.
_ONLY_IN_WAREHOUSE = """
select coalesce(sum(records), 0)::bigint, max(day) from ops.retired_day join ops.retirement using (retirement_id)
where coalesce(deleted_at, booked_at) > (select min(committed_at) from ops.load_manifest)
"""


class RetiredDay(NamedTuple):
    """What a day of the lake held of a Kafka partition."""

    day: date
    topic: str
    partition: int
    records: int
    rejected: int
    first_offset: int
    last_offset: int


class Open(NamedTuple):
    """A retirement that was booked, and of which nobody has noted yet that its days are gone."""

    retirement_id: int
    token: UUID
    booked_at: datetime
    days: list[date]


@dataclass(frozen=True)
class Retired:
    """What the lake has retired of a Kafka partition: so many records, at offsets within these ranges (first and last)."""

    records: int
    ranges: tuple[tuple[int, int], ...]


def book(connection: psycopg.Connection, days: Iterable[RetiredDay]) -> tuple[int, UUID]:
    """Note what is about to be deleted; the id and the token of the retirement."""
    with connection.transaction(), connection.cursor() as cursor:
        retirement_id, token = cursor.execute(_BOOK).fetchall()[0]
        cursor.executemany(_BOOK_DAY, [(retirement_id, *day) for day in days])
    return int(retirement_id), token


def unfinished(connection: psycopg.Connection) -> list[Open]:
    """The retirements that are not finished, the oldest first."""
    return [Open(*row) for row in connection.execute(_OPEN).fetchall()]


def finish(connection: psycopg.Connection, retirement_id: int, deleted_at: datetime) -> None:
    """Note when the days were gone."""
    connection.execute(_FINISH, [deleted_at, retirement_id])


def withdraw(connection: psycopg.Connection, retirement_id: int) -> None:
    """Take back the booking of a retirement that deleted nothing."""
    with connection.transaction():
        connection.execute("delete from ops.retired_day where retirement_id = %s", [retirement_id])
        connection.execute("delete from ops.retirement where retirement_id = %s", [retirement_id])


def open_since(connection: psycopg.Connection, moment: datetime) -> int:
    """How many retirements are not finished, or were not at that moment: what was read since may still hold their records."""
    return int(connection.execute(_OPEN_SINCE, [moment]).fetchall()[0][0])


def by_partition(connection: psycopg.Connection, *, unfinished: bool = False) -> dict[tuple[str, int], Retired]:
    """What was retired of each topic's partitions; with what is only booked as well when `unfinished`."""
    rows = connection.execute(_RANGES, [unfinished]).fetchall()
    return {(topic, partition): Retired(records, tuple((a, b) for a, b in ranges)) for topic, partition, records, ranges in rows}


def require_accepted_loss(connection: psycopg.Connection, *, accepted: bool) -> None:
    """BadInputError when raw holds records that the lake has retired, and losing them with a rebuild is not `accepted`."""
    records, last_day = connection.execute(_ONLY_IN_WAREHOUSE).fetchall()[0]
    if records and not accepted:
        raise BadInputError(
            f"the lake has retired {records:,} records up to {last_day:%Y-%m-%d} that the warehouse still holds, and a rebuild from the "
            "lake loses them: take a `loglake backup` if they matter, and give --lose-retired if that is meant"
        )
