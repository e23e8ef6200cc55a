"""Moments that are easily put on the wrong day, on real Postgres: all of it is UTC, whatever zone a session is in."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from psycopg import sql

from loglake import clients
from loglake.events import Error, Event, Search
from tests.sample import event, order
from tests.stackfixture import EmbeddedStack
from tests.starloads import build, rows
from tests.warehouserows import deliver, empty_warehouse

pytestmark = pytest.mark.integration
BERLIN, NEW_YORK = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")
#: Zones of the sessions that build: one behind UTC with summer time, one ahead of it by a part of an hour.
BUILDERS = ("America/New_York", "Asia/Kathmandu")
#: Zones of the sessions that read: as far from UTC as they get; Apia had no 30 December 2011.
READERS = ("UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Pacific/Apia")

#: What happens at each moment: in its session a view and, a microsecond later, a search, an error and an order.
MOMENTS = {
    "midnight-before": datetime(2026, 3, 4, 23, 59, 59, 999_990, tzinfo=UTC),
    "midnight": datetime(2026, 3, 5, tzinfo=UTC),
    "leap-2024": datetime(2024, 2, 29, 23, 59, 59, tzinfo=UTC),
    "leap-2028": datetime(2028, 2, 29, tzinfo=UTC),
    "after-leap-2028": datetime(2028, 3, 1, tzinfo=UTC),
    # 02:30 comes twice in Berlin, 01:30 twice in New York; 02:30 never came in New York on 8 March.
    "berlin-summer": datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN),
    "berlin-winter": datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=BERLIN),
    "new-york-summer": datetime(2026, 11, 1, 1, 30, tzinfo=NEW_YORK),
    "new-york-winter": datetime(2026, 11, 1, 1, 30, fold=1, tzinfo=NEW_YORK),
    "new-york-spring": datetime(2026, 3, 8, 7, 0, tzinfo=UTC),
    "new-year": datetime(2027, 1, 1, tzinfo=UTC),
    "old-year": datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC),
    "apia": datetime(2011, 12, 30, 12, tzinfo=UTC),
}
HOURS = {
    "midnight-before": 2026030423, "midnight": 2026030500, "leap-2024": 2024022923, "leap-2028": 2028022900, "after-leap-2028": 2028030100,
    "berlin-summer": 2026102500, "berlin-winter": 2026102501, "new-york-summer": 2026110105, "new-york-winter": 2026110106,
    "new-york-spring": 2026030807, "new-year": 2027010100, "old-year": 2026123123, "apia": 2011123012,
}  # fmt: skip
DAYS = {name: date(hour // 1_000_000, hour // 10_000 % 100, hour // 100 % 100) for name, hour in HOURS.items()}


def happening(number: int, name: str, moment: datetime) -> tuple[Event, ...]:
    common = {"event_ts": moment, "session_id": name}
    return (
        event(10 * number, **common),
        event(10 * number + 1, event_type="search_response", product=None, search=Search(name, 1), **common),
        event(10 * number + 2, event_type="error", product=None, service=name, error=Error(code="E"), **common),
        event(10 * number + 3, event_type="order_complete_response", product=None, order=order(name, lines=(("p1", 1, "1.00"),)), **common),
    )


@pytest.fixture(scope="module")
def database(postgres: EmbeddedStack) -> Iterator[str]:
    """The moments in two loads, each built by sessions of another zone."""
    assert postgres.runtime.exists()
    happened = [happening(number, name, moment) for number, (name, moment) in enumerate(MOMENTS.items())]
    with empty_warehouse("time_zones") as database, clients.postgres("postgres", database) as admin:
        for load_id, zone in enumerate(BUILDERS, start=1):
            admin.execute(f"alter role dbt in database {database} set timezone = '{zone}'")
            deliver(database, load_id, [one for several in happened[load_id - 1 :: 2] for one in several])
            build(database)
        yield database


def reader(database: str, zone: str) -> psycopg.Connection:
    connection = clients.postgres("bi_reader", database)
    connection.execute("select set_config('timezone', %s, false)", [zone])
    return connection


def test_every_fact_is_at_its_utc_hour(database: str) -> None:
    assert (
        dict(rows(database, "select session_id, min(date_sk) from marts.fact_event group by 1 having count(distinct date_sk) = 1")) == HOURS
    )
    assert dict(rows(database, "select session_id, date_sk from marts.fct_session")) == HOURS
    assert dict(rows(database, "select query, date_sk from marts.fact_search")) == HOURS
    assert dict(rows(database, "select service, date_sk from marts.fact_error")) == HOURS
    assert dict(rows(database, "select order_id, date_sk from marts.fact_order")) == HOURS
    assert {hour for (hour,) in rows(database, "select date_sk from marts.dim_date where timestamp is not null")} >= set(HOURS.values())


def test_every_sum_is_on_its_utc_day(database: str) -> None:
    days = sorted(set(DAYS.values()))
    each = [(day, list(DAYS.values()).count(day)) for day in days]

    assert (
        rows(database, "select activity_date, event_count from marts.fct_daily_user_metrics where event_type = 'error' order by 1") == each
    )
    assert rows(database, "select activity_date, views from marts.fct_product_day order by 1") == each
    assert rows(database, "select session_date, sum(sessions) from marts.conversion_funnel group by 1 order by 1") == each
    assert rows(database, "select session_date, sum(sessions) from marts.traffic_sources group by 1 order by 1") == each
    assert rows(database, "select error_date, sum(errors) from marts.error_analysis group by 1 order by 1") == each
    assert rows(database, "select search_date, sum(searches) from marts.search_terms group by 1 order by 1") == each
    revenue = rows(database, "select order_date, sum(revenue) from marts.daily_revenue group by 1 order by 1")
    assert revenue == [(day, Decimal(number)) for day, number in each]


def test_weeks_are_those_of_iso_8601(database: str) -> None:
    found = rows(
        database, "select date_sk / 100, year, week, quarter from marts.dim_date where year >= 2026 and month in (1, 12) order by 1"
    )
    calendar = rows(
        database,
        "select iso_year, iso_week, iso_weekday from marts.dim_calendar where calendar_date in ('2026-12-31', '2027-01-01', '2027-01-04') "
        "order by calendar_date",
    )
    cohort = rows(database, "select weeks_since from marts.weekly_retention order by 1")

    assert [row for row in found if row[0] in (20261231, 20270101)] == [(20261231, 2026, 53, 4), (20270101, 2027, 53, 1)]
    assert calendar == [(2026, 53, 4), (2026, 53, 5), (2027, 1, 1)]
    first = date(2011, 12, 26)
    assert cohort == [(weeks,) for weeks in sorted({(day - first).days // 7 for day in DAYS.values()})]


def test_a_readers_zone_changes_no_number(database: str) -> None:
    """Moments are compared as moments: how a client shows them is its own affair."""
    with reader(database, "UTC") as connection:
        listed = "select table_name from information_schema.tables where table_schema = 'marts' order by 1"
        names = [name for (name,) in connection.execute(listed).fetchall()]
    found: dict[str, dict[str, list[tuple[Any, ...]]]] = {}
    for zone in READERS:
        with reader(database, zone) as connection:
            read = {name: connection.execute(sql.SQL("select * from marts.{}").format(sql.Identifier(name))).fetchall() for name in names}
        found[zone] = {name: sorted(table, key=repr_in_utc) for name, table in read.items()}

    assert {"fct_session", "dim_calendar", "weekly_retention", "daily_revenue"} <= set(names)
    assert {zone: tables == found["UTC"] for zone, tables in found.items()} == dict.fromkeys(READERS, True)


def repr_in_utc(row: tuple[Any, ...]) -> str:
    return repr([value.astimezone(UTC) if isinstance(value, datetime) else value for value in row])


def test_the_calendar_has_each_day_once_in_every_zone(database: str) -> None:
    query = "select count(*), count(distinct calendar_date), max(calendar_date) - min(calendar_date) + 1 from marts.dim_calendar"
    for zone in READERS:
        with reader(database, zone) as connection:
            [(days, distinct, span)] = connection.execute(query).fetchall()
        assert days == distinct == span, zone


def test_making_the_marts_anew_in_another_zone_gives_the_same_rows(database: str) -> None:
    """The zone is still the last builder's; the rows of the first load were made in another one."""
    tables = ("fact_event", "fact_order", "dim_date", "fct_session", "fct_user_day", "fct_product_day", "product_description")
    before = {table: sorted(rows(database, f"select * from marts.{table}"), key=repr) for table in tables}

    build(database, "--full-refresh")

    assert {table: sorted(rows(database, f"select * from marts.{table}"), key=repr) for table in tables} == before
