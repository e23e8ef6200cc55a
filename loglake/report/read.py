"""What the report shows: each visual's rows and how new the marts are, all read from one state of them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from loglake.bi.pages import PAGES, Page, Visual
from loglake.bi.query import Slice, query
from loglake.errors import BadInputError
from loglake.marts import catalogue, reading, require_same_tables

Row = tuple[Any, ...]


@dataclass(frozen=True)
class Freshness:
    """The last load that the marts hold, how many events there are, and the hours (UTC) of the first and the last."""

    load_id: int
    events: int
    first: datetime
    last: datetime


@dataclass(frozen=True)
class Result:
    """A visual and its rows: the values of `by`, then of the measures."""

    visual: Visual
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Report:
    """`made_at`: when the marts were as shown. `freshness`: None while they hold no event. `pages`: each page's visuals in order."""

    database: str
    made_at: datetime
    part: Slice
    freshness: Freshness | None
    pages: tuple[tuple[Page, tuple[Result, ...]], ...]


def read(part: Slice, database: str | None = None) -> Report:
    """Read all visuals in one transaction, as `bi_reader`. BadInputError when marts are missing."""
    with reading(database) as connection:
        catalogue(connection)
        try:
            [(made_at,)] = connection.execute("select now()").fetchall()
            freshness = _freshness(connection)
            _require_currency(connection, part)
            pages = tuple((page, _results(connection, page, part)) for page in PAGES if freshness)
            require_same_tables(connection)
        except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
            said = error.diag.message_primary
            raise BadInputError(f"the marts are not those of this version ({said}): run `loglake model --full-refresh`") from error
        return Report(connection.info.dbname, made_at, part, freshness, pages)


def _require_currency(connection: psycopg.Connection, part: Slice) -> None:
    if part.currency is None:
        return
    known = [row[0] for row in connection.execute("select distinct currency from marts.fact_order order by 1") if row[0]]
    if part.currency not in known:
        raise BadInputError(f"no order is in {part.currency}: there are {', '.join(known) or 'no orders at all'}")


def _freshness(connection: psycopg.Connection) -> Freshness | None:
    [(load_id, events, first, last)] = connection.execute(
        """
        select
            (select max(load_id) from marts.fact_event),
            (select coalesce(sum(event_count), 0) from marts.fct_user_day),
            min(timestamp),
            max(timestamp)
        from marts.dim_date
        """
    ).fetchall()
    return Freshness(load_id, int(events), first, last) if first else None


def _results(connection: psycopg.Connection, page: Page, part: Slice) -> tuple[Result, ...]:
    found = []
    for visual in page.visuals:
        rows = connection.execute(query(visual, part).encode(), part.parameters).fetchall()
        found.append(Result(visual, tuple(rows)))
    return tuple(found)
