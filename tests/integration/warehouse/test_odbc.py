"""A BI tool's way in: psqlODBC, as bi_reader, with every query behind the report's pages."""

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from loglake import clients
from loglake.bi.measures import MEASURES
from loglake.bi.pages import PAGES
from loglake.bi.query import query
from loglake.settings import settings

pytestmark = pytest.mark.integration

DRIVER = "PostgreSQL Unicode"
VISUALS = {visual.name: visual for page in PAGES for visual in page.visuals}
TYPES = {"bigint": int, "numeric": Decimal}


def connect(database: str) -> Any:
    """A connection as a BI tool makes it; without the driver the test is skipped, but never in CI."""
    try:
        import pyodbc

        missing = f"no ODBC driver {DRIVER!r}" if DRIVER not in pyodbc.drivers() else ""
    except ImportError as error:
        missing = str(error)
    if missing:
        reason = f"{missing}: apt-get install odbc-postgresql unixodbc"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    config = settings().postgres
    return pyodbc.connect(
        f"Driver={{{DRIVER}}};Server={config.host};Port={config.port};Database={database};Uid=bi_reader;"
        f"Pwd={{{config.password('bi_reader')}}};SSLmode=disable"
    )


@pytest.fixture(scope="module")
def odbc(sold: str) -> Iterator[Any]:
    with closing(connect(sold)) as connection:
        yield connection


def rows(odbc: Any, name: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in odbc.execute(query(VISUALS[name])).fetchall()]


@pytest.mark.parametrize("name", VISUALS)
def test_every_query_of_the_report_answers_alike_through_odbc(odbc: Any, sold: str, name: str) -> None:
    visual = VISUALS[name]
    cursor = odbc.execute(query(visual))
    found = [tuple(row) for row in cursor.fetchall()]
    with clients.postgres("bi_reader", sold) as connection:
        own = connection.execute(query(visual).encode()).fetchall()

    assert found == own != []
    names = [by.partition(".")[2] for by in visual.by] + list(visual.measures)
    assert [column[0] for column in cursor.description] == names
    wanted = [TYPES[MEASURES[measure].format.postgres.partition("(")[0]] for measure in visual.measures]
    assert [column[1] for column in cursor.description][len(visual.by) :] == wanted
    assert any(value is not None for row in found for value in row[len(visual.by) :])


def test_money_stays_apart_by_currency(odbc: Any) -> None:
    assert rows(odbc, "revenue") == [
        ("EUR", Decimal("25.99"), 1, Decimal("25.99")),
        ("USD", Decimal("20.00"), 1, Decimal("20.00")),
    ]
    assert rows(odbc, "revenue_by_day") == [
        (date(2026, 3, 4), "EUR", Decimal("25.99")),
        (date(2026, 3, 5), "USD", Decimal("20.00")),
    ]
    assert rows(odbc, "lost_revenue") == [
        ("card", "EUR", Decimal("25.99"), Decimal("25.99"), Decimal("0.5000"), Decimal("0.3333")),
        ("card", "USD", None, None, Decimal("0.0000"), Decimal("0.0000")),
    ]


def test_views_and_orders_of_a_product_meet_in_one_row(odbc: Any) -> None:
    assert rows(odbc, "most_viewed")[0] == ("p1", "Schuh", 2, 1, Decimal("0.5000"), 1, Decimal("0.5000"))
    assert rows(odbc, "out_of_stock") == [("p7", "Hut 🎩", 1)]


def test_users_are_counted_once_and_followed(odbc: Any) -> None:
    assert rows(odbc, "active_by_day") == [(date(2026, 3, 4), 1), (date(2026, 3, 5), 1), (date(2026, 3, 12), 1)]
    assert rows(odbc, "retention") == [(date(2026, 3, 2), 0, Decimal("1.0000")), (date(2026, 3, 2), 1, Decimal("1.0000"))]


def test_the_first_members_are_those_of_the_order(odbc: Any) -> None:
    first = replace(VISUALS["best_sellers"], top=1)
    assert [row.product_id for row in odbc.execute(query(first)).fetchall()] == ["p1"]


def test_odbc_reads_marts_only(odbc: Any) -> None:
    with pytest.raises(Exception, match="permission denied for schema raw"):
        odbc.execute("select * from raw.log_events")
    odbc.rollback()
