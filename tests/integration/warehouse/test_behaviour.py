"""Sessions and daily users on real Postgres: the same rows whatever the loads in which a session's events come."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from loglake.events import Error, Event, Page, Search
from loglake.models import FULL_TESTS, run_dbt
from tests.sample import event
from tests.stackfixture import EmbeddedStack
from tests.starloads import at, delivered, order_event, rows

pytestmark = pytest.mark.integration


def of(session: str, number: int, hours: float, kind: str, **changes: Any) -> Event:
    return event(number, event_ts=at(hours), event_type=kind, session_id=session, **changes)


LANDING = Page(url="/", referrer="HTTPS://www.Search.example:443/q?x=1", utm_source="ads", utm_medium="cpc", utm_campaign="spring")
BOUGHT = (
    of("s1", 1, 0.0, "page_view", page=LANDING, user=None),
    of("s1", 2, 0.1, "product_view"),
    of("s1", 3, 0.2, "add_to_cart"),
    order_event(4, 0.3, "o1", "requested", session_id="s1"),
    order_event(5, 0.4, "o1", "completed", session_id="s1"),
)
ABANDONED = (
    of("s2", 6, 13.9, "add_to_cart", user=None),
    of("s2", 7, 14.1, "error", user=None, product=None, error=Error(code="E7")),
)
SEARCHED = (
    of("s4", 10, 14 * 24, "search_response", product=None, search=Search(query="Red  shoes", result_count=4)),
    of("s4", 11, 14 * 24, "search_response", product=None, search=Search(query=" red shoes", result_count=0)),
)
EVENTS = (*BOUGHT, *ABANDONED, of("s3", 8, 14.1, "product_view"), of("s3", 9, 14.2, "product_view"), *SEARCHED)
SESSIONS = """
    select session_id, user_sk, date_sk, started_at, ended_at, events, product_views, cart_adds, orders, revenue, currency,
           is_cart_abandoned, entry_type, exit_type, entry_page, exit_page, referrer, utm_source, device_type, geo_country,
           identified_at, entry_event_id
    from marts.fct_session order by 1
"""
DAYS = "select activity_date, event_type, user_sk, event_count from marts.fct_user_day order by 1, 2, 3"


@pytest.fixture(scope="module")
def at_once(postgres: EmbeddedStack) -> Iterator[str]:
    assert postgres.runtime.exists()
    with delivered("behaviour_at_once", [EVENTS]) as database:
        yield database


@pytest.fixture(scope="module")
def mixed(postgres: EmbeddedStack) -> Iterator[str]:
    """The same events in three loads, shuffled, some of them sent again."""
    assert postgres.runtime.exists()
    shuffled = [EVENTS[number] for number in (7, 4, 9, 5, 0, 3, 8, 10, 1, 6, 2)]
    with delivered("behaviour_mixed", [shuffled[:3], shuffled[2:7], shuffled[7:]]) as database:
        yield database


def test_a_session_is_the_same_whatever_the_loads(at_once: str, mixed: str) -> None:
    assert rows(at_once, SESSIONS) == rows(mixed, SESSIONS)
    assert rows(at_once, DAYS) == rows(mixed, DAYS)


def test_a_session_tells_how_it_began_went_and_ended(mixed: str) -> None:
    found = rows(mixed, """
        select session_id, user_id, duration_seconds, events, page_views, product_views, cart_adds, order_requests, orders, revenue,
               currency, is_cart_abandoned, entry_type, exit_type, entry_page, referrer, utm_campaign
        from marts.fct_session join marts.dim_users using (user_sk) order by 1""")  # fmt: skip

    assert [row[:12] for row in found] == [
        ("s1", "u1", Decimal("1440.000"), 5, 1, 1, 1, 1, 1, Decimal("25.99"), "EUR", False),
        ("s2", None, Decimal("720.000"), 2, 0, 0, 1, 0, 0, Decimal("0.00"), None, True),
        ("s3", "u1", Decimal("360.000"), 2, 0, 2, 0, 0, 0, Decimal("0.00"), None, False),
        ("s4", "u1", Decimal("0.000"), 2, 0, 0, 0, 0, 0, Decimal("0.00"), None, False),
    ]
    assert found[0][12:] == ("page_view", "order_complete_response", "/", "HTTPS://www.Search.example:443/q", "spring")


def test_the_funnel_counts_the_sessions_that_got_so_far(mixed: str) -> None:
    query = "select session_date, sessions, viewed, added, requested, bought, abandoned_carts from marts.conversion_funnel order by 1"
    assert rows(mixed, query) == [
        (date(2026, 3, 4), 2, 2, 2, 1, 1, 1),
        (date(2026, 3, 5), 1, 1, 0, 0, 0, 0),
        (date(2026, 3, 18), 1, 0, 0, 0, 0, 0),
    ]


def test_a_traffic_source_is_the_domain_of_the_first_referrer(mixed: str) -> None:
    query = (
        "select referrer_domain, utm_source, sessions, sessions_with_order, orders from marts.traffic_sources order by sessions_with_order"
    )
    found = rows(mixed, query)
    assert found[-1] == ("search.example", "ads", 1, 1, 1)
    assert sum(row[2] for row in found) == 4


def test_daily_users_split_at_midnight_utc_and_count_each_user_once(mixed: str) -> None:
    found = rows(mixed, "select * from marts.fct_daily_user_metrics order by 1, 2")
    assert found == [
        (date(2026, 3, 4), "add_to_cart", 2, 1),
        (date(2026, 3, 4), "order_complete_response", 1, 1),
        (date(2026, 3, 4), "order_request", 1, 1),
        (date(2026, 3, 4), "page_view", 1, 0),
        (date(2026, 3, 4), "product_view", 1, 1),
        (date(2026, 3, 5), "error", 1, 0),
        (date(2026, 3, 5), "product_view", 2, 1),
        (date(2026, 3, 18), "search_response", 2, 1),
    ]


def test_revenue_by_day_is_the_orders_to_the_cent(mixed: str) -> None:
    query = "select order_date, currency, sum(revenue), sum(units) from marts.daily_revenue group by 1, 2"
    assert rows(mixed, query) == [(date(2026, 3, 4), "EUR", Decimal("25.99"), 3)]


def test_the_calendar_has_every_day_from_the_first_year_to_the_end_of_the_next(mixed: str) -> None:
    [(first, last, days, distinct)] = rows(
        mixed, "select min(calendar_date), max(calendar_date), count(*), count(distinct calendar_date) from marts.dim_calendar"
    )
    assert (first, days) == (date(2026, 1, 1), distinct) == (date(2026, 1, 1), (last - first).days + 1)
    assert (last.month, last.day) == (12, 31)
    assert last.year > datetime.now(UTC).year
    week = "select iso_year, iso_week, iso_weekday, is_weekend, quarter from marts.dim_calendar where calendar_date = '2027-01-03'"
    assert rows(mixed, week) == [(2026, 53, 7, True, 1)]


def test_every_event_is_in_a_session_and_on_a_day(mixed: str) -> None:
    run = run_dbt(FULL_TESTS, database=mixed)
    wanted = {"behaviour_counts_every_event", "daily_revenue_keeps_refunds_and_failed_payments_apart"}
    assert wanted <= {node.name.rpartition(".")[2] for node in run.nodes if node.status == "pass"}


def test_products_searches_errors_and_cohorts_add_up_over_loads(mixed: str) -> None:
    products = rows(
        mixed, "select product_id, views, cart_adds, orders, units, revenue, currency from marts.product_performance order by 1"
    )
    assert products == [
        ("p1", 3, 2, 1, 2, Decimal("25.00"), "EUR"),
        ("p9", 0, 0, 1, 1, Decimal("0.99"), "EUR"),
    ]
    searches = rows(
        mixed, "select search_date, query, searches, sessions, searches_without_result, average_results from marts.search_terms"
    )
    assert searches == [(date(2026, 3, 18), "red shoes", 2, 1, 1, Decimal("2.0"))]
    errors = rows(
        mixed,
        "select error_date, service, error_code, errors, affected_sessions, affected_sessions_without_order from marts.error_analysis",
    )
    assert errors == [(date(2026, 3, 5), "web", "E7", 1, 1, 1)]
    retention = rows(mixed, "select cohort_week, weeks_since, cohort_users, active_users from marts.weekly_retention order by 2")
    assert retention == [(date(2026, 3, 2), 0, 1, 1), (date(2026, 3, 2), 2, 1, 1)]
