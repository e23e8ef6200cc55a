"""The partitions of `raw.log_events`: one per month of the event id, a UUIDv7, which begins with a time in milliseconds (RFC 9562)."""

from collections.abc import Iterable
from datetime import UTC, datetime
from uuid import UUID

import psycopg
from psycopg import sql

#: Months with a partition of their own; event ids of any other time go to the default partition.
FIRST_MONTH = datetime(2000, 1, 1, tzinfo=UTC)


def months(id_prefixes: Iterable[str], now: datetime) -> list[datetime]:
    """The months between FIRST_MONTH and `now` that hold event ids which begin with these 8 hex digits.

    Eight digits of a UUIDv7 are 65.5 s (RFC 9562: 48 bits of milliseconds), so at a turn of the month it may be one month too many.
    """
    first = [int(prefix, 16) << 16 for prefix in id_prefixes]
    seconds = {moment / 1000 for start in first for moment in (start, start + 0xFFFF)}
    moments = [datetime.fromtimestamp(second, UTC) for second in seconds if FIRST_MONTH.timestamp() <= second <= now.timestamp()]
    return sorted({datetime(moment.year, moment.month, 1, tzinfo=UTC) for moment in moments})


def partition_name(month: datetime) -> str:
    return f"log_events_{month:%Y_%m}"


def month_bounds(month: datetime) -> tuple[str, str]:
    """The first UUIDv7 of a month and of the next one."""
    following = month.replace(year=month.year + month.month // 12, month=month.month % 12 + 1)
    low, high = (f"{int(moment.timestamp() * 1000):012x}" for moment in (month, following))
    return f"{low[:8]}-{low[8:]}-0000-0000-000000000000", f"{high[:8]}-{high[8:]}-0000-0000-000000000000"


def floor(connection: psycopg.Connection, prefix: str = "") -> UUID:
    """The first event id after the newest month that was retired (loglake/retention.py); the nil UUID when none was."""
    query = sql.SQL("select max(month) from {raw}.retired_month").format(raw=sql.Identifier(f"{prefix}raw"))
    (month,) = connection.execute(query).fetchone() or (None,)
    return UUID(month_bounds(datetime(month.year, month.month, 1, tzinfo=UTC))[1]) if month else UUID(int=0)
