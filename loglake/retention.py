"""Retention of `raw.log_events`: whole months (by event id) are dropped, and booked in the same transaction.

Off unless `LOGLAKE_MAINTENANCE_RAW_MONTHS` is set. Lake and marts keep what raw no longer has. An event of a retired month that comes
again, or late, counts as a duplicate: nobody can tell any more whether it was there. A rebuild brings back what the lake still holds.
"""

import re
import time
from collections.abc import Iterable
from datetime import UTC, date, datetime

import psycopg
from psycopg import sql

from loglake import clients, locks
from loglake.errors import LoadInProgressError, ServiceError
from loglake.settings import settings
from loglake.upkeep import Step
from loglake.warehouse import LOAD_LOCK_KEY, MODEL_LOCK_KEY, REBUILD_LOCK_KEY

_NAME = re.compile(r"^log_events_(\d{4})_(\d{2})$")
_PARTITIONS = "select relname from pg_inherits join pg_class on inhrelid = pg_class.oid where inhparent = 'raw.log_events'::regclass"
#: The last load that every model has taken in and tested, and that is not the newest: that one is still compared with raw.
_SETTLED = """
select least(min(load_id), (select max(load_id) - 1 from ops.load_manifest)) from staging.load_position
"""
#: In the order in which a rebuild takes them, so that neither waits for the other for ever.
_LOCKS = (REBUILD_LOCK_KEY, LOAD_LOCK_KEY, MODEL_LOCK_KEY)
#: How long each is waited for: less than a load waits (LOGLAKE_LOAD_LOCK_TIMEOUT_SECONDS), as loads are held up meanwhile.
LOCK_TIMEOUT = "45s"
#: A reader holds up the drop, and the drop those behind it, no longer than this.
_DROP_TIMEOUT = "3s"


def retire(*, dry_run: bool = False, database: str | None = None, today: date | None = None) -> Step:
    """Drop the months of raw that are due and that the models have taken in; LoadInProgressError when somebody goes on writing or building.

    What may go is read once nobody else writes: a rebuild that was swapped in before has other loads, and other partitions.
    """
    began, months = time.monotonic(), settings().maintenance.raw_months
    if not months:
        return Step("raw", "kept for ever", 0.0)
    with clients.postgres("loader", database) as connection:
        _only_writer(connection)
        limit = settled(database)
        names = [name for (name,) in connection.execute(_PARTITIONS).fetchall()]
        found = [_retire(connection, name, limit, dry_run=dry_run) for name in due(names, today or datetime.now(UTC).date(), months)]
    dropped = [rows for rows in found if rows is not None]
    note = f"{len(dropped)} months ({sum(dropped):,} events) of raw {'would be dropped' if dry_run else 'dropped'}"
    if left := len(found) - len(dropped):
        note += f", {left} wait for the models"
    return Step("raw", note, time.monotonic() - began, {"months": len(dropped), "rows": sum(dropped), "months_left": left})


def due(names: Iterable[str], today: date, months: int) -> list[str]:
    """Of the partitions those of a month more than `months` months before today's, the oldest first."""
    found = [(12 * int(match[1]) + int(match[2]), name) for name in names if (match := _NAME.match(name))]
    return [name for month, name in sorted(found) if month < 12 * today.year + today.month - months]


def settled(database: str | None = None) -> int:
    """The last load whose rows may go; 0 before the models were ever built."""
    with clients.postgres("monitor", database) as connection:
        if connection.execute("select to_regclass('staging.load_position')").fetchone() == (None,):
            return 0
        return int(connection.execute(_SETTLED).fetchall()[0][0] or 0)


def _only_writer(connection: psycopg.Connection) -> None:
    """Hold the locks of loads, dbt runs and rebuilds for as long as the connection lives."""
    busy = LoadInProgressError(
        f"a load, a dbt run or a rebuild is at work, and did not end within {LOCK_TIMEOUT}: retire months of raw when it has ended"
    )
    locks.wait_for(connection, _LOCKS, LOCK_TIMEOUT, busy)


def _retire(connection: psycopg.Connection, name: str, limit: int, *, dry_run: bool) -> int | None:
    """Drop one partition and book it: its rows; None when it holds rows of later loads than `limit`."""
    partition = sql.Identifier("raw", name)
    try:
        with connection.transaction():
            count = sql.SQL("select count(*), coalesce(max(load_id), 0) from {}").format(partition)
            rows, newest = connection.execute(count).fetchall()[0]
            if newest > limit:
                return None
            if not dry_run:
                connection.execute("select set_config('lock_timeout', %s, true)", [_DROP_TIMEOUT])
                connection.execute("insert into raw.retired_month values (%s, clock_timestamp(), %s)", [_month(name), rows])
                connection.execute(sql.SQL("drop table {}").format(partition))
    except psycopg.errors.LockNotAvailable as error:
        raise ServiceError(f"raw.{name} is being read, so it was not dropped: see pg_stat_activity, then run it again") from error
    return int(rows)


def _month(name: str) -> date:
    match = _NAME.match(name)
    if match is None:
        raise ValueError(f"{name} is no month of raw.log_events")
    return date(int(match[1]), int(match[2]), 1)
