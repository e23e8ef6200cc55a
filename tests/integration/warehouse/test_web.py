"""The web detail on real Postgres: the same rows whatever the loads, no whole address, odd user agents, and what the reports say."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from loglake import clients, reference
from loglake.events import Device, Event, Geo, Page, Product, Search
from loglake.models import run_dbt
from tests.sample import event, order
from tests.stackfixture import EmbeddedStack
from tests.starloads import delivered, rows
from tests.warehouserows import deliver, empty_warehouse

pytestmark = pytest.mark.integration
CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36"
BOT = "Googlebot/2.1 (+http://www.google.com/bot.html)"
LONG = "👟" * 4096
#: A leap day begins.
DAY = datetime(2024, 2, 29, tzinfo=UTC)
#: Of one session: the first answer gets a click, the second none, the third one; a page between does not matter.
SEARCHED = ("search_response", "page_view", "product_view", "search_response", "add_to_cart", "search_response", "product_view")


def step(number: int, kind: str, minutes: float, session: str = "s1", **changes: Any) -> Event:
    values = {"search": Search(query="shoes", result_count=3)} if kind.startswith("search") else {}
    if kind != "product_view":
        values["product"] = None
    moment = DAY + timedelta(minutes=minutes)
    return event(number, event_ts=moment, event_type=kind, session_id=session, **{**values, **changes})


def geo(country: str | None, ip: str | None, city: str | None = "Köln") -> Geo:
    return Geo(country=country, city=city, ip=ip)


LANDING = Page(url="https://me:pw@shop.example/p/1?email=bob@example.org#x", referrer="https://News.Example.CO.UK:443/q?user=bob")
EVENTS = (
    *(step(number, kind, number) for number, kind in enumerate(SEARCHED, start=1)),
    # one network, whatever the host; the same country under two names
    step(11, "page_view", 0, "s2", geo=geo("USA", "192.0.2.77", "🗽"), page=LANDING, device=Device(user_agent=CHROME), user=None),
    step(12, "product_view", 1, "s2", geo=geo("USA", "192.0.2.199", "🗽"), device=Device(user_agent=CHROME), user=None),
    step(13, "order_complete_response", 0, "s3", geo=geo("United States", "192.0.2.1", "🗽"), order=order()),
    step(14, "product_view", 2, "s4", geo=geo("Atlantis", "not an address"), device=Device(user_agent=LONG), product=Product("p2")),
    step(15, "product_view", 3, "s4", geo=None, device=None, page=None, product=Product("p2")),
    step(16, "page_view", -1, "s5", geo=geo(None, "2001:db8:1:2::9", None), device=Device(user_agent=BOT), page=Page(url="/")),
    step(
        *(17, "product_view", -1, "s5"),
        geo=geo(None, "2001:db8:1:ffff::1", None),
        device=Device(user_agent=""),
        page=Page(url="/", referrer=f"https://{'👟' * 4000}/"),
    ),
    step(18, "error", 1, "s5"),
)
WEB = """
    select event_sk, user_sk, product_sk, date_sk, ip_key, user_agent_key, session_sk, event_type, page_url, referrer_domain
    from marts.fact_web
"""
PLACES = "select ip, country_code, country_name, region, city, ip_key from marts.dim_location"
AGENTS = "select user_agent, browser, os, device, browser_version, user_agent_key from marts.dim_user_agent"
CLICKS = "select search_sk, is_clicked, clicks.product_sk, seconds_to_click from marts.search_clicks as clicks"

REPORTS = ("store_performance", "top_countries", "top_referrers", "traffic_sources", "search_terms", "dim_holiday")
HOURLY = ("hourly_product_views", "hourly_clients")


@pytest.fixture(scope="module")
def at_once(postgres: EmbeddedStack) -> Iterator[str]:
    assert postgres.runtime.exists()
    with delivered("web_at_once", [EVENTS]) as database:
        yield database


@pytest.fixture(scope="module")
def backwards(postgres: EmbeddedStack) -> Iterator[str]:
    """The same events in two loads, the last ones first, some of them sent again."""
    assert postgres.runtime.exists()
    with delivered("web_backwards", [EVENTS[4:][::-1], EVENTS[:9][::-1]]) as database:
        yield database


@pytest.mark.parametrize("query", [WEB, PLACES, AGENTS, CLICKS, *(f"select * from marts.{name}" for name in (*REPORTS, *HOURLY))])
def test_rows_are_the_same_whatever_the_loads(at_once: str, backwards: str, query: str) -> None:
    found = sorted(map(repr, rows(at_once, query)))
    assert found == sorted(map(repr, rows(backwards, query)))
    assert found


def test_no_whole_address_and_no_query_reaches_the_marts(backwards: str) -> None:
    assert {row[:5] for row in rows(backwards, PLACES)} == {
        (None, None, None, None, None),
        ("192.0.2.0/24", "DE", "Germany", "Western Europe", "Köln"),
        ("192.0.2.0/24", "US", "United States", "Northern America", "🗽"),
        (None, None, "Atlantis", None, "Köln"),
        ("2001:db8:1::/48", None, None, None, None),
    }
    assert rows(backwards, f"{WEB} where referrer_domain = 'example.co.uk'")[0][-2:] == ("https://shop.example/p/1", "example.co.uk")
    with clients.postgres("bi_reader", backwards) as reader:
        texts = [
            text
            for mart in ("fact_web", "dim_location", "hourly_clients", "top_referrers", "store_performance")
            for (text,) in reader.execute(f"select t::text from marts.{mart} as t").fetchall()  # type: ignore[call-overload]
        ]
    assert texts
    assert [text for text in texts if "192.0.2.7" in text or "::9" in text or "bob@" in text or "pw@" in text] == []


def test_any_user_agent_has_its_row(backwards: str) -> None:
    assert {row[:5] for row in rows(backwards, AGENTS)} == {
        (None, None, None, None, None),
        ("Mozilla/5.0 (iPhone)", "Mobile Safari UI/WKWebView", "iOS", "iPhone", None),
        (CHROME, "Chrome", "Windows", "Other", "138"),
        (BOT, "Googlebot", "Other", "Spider", "2"),
        (LONG, "Other", "Other", "Other", None),
        ("", "Other", "Other", "Other", None),
    }


def test_any_referrer_has_its_domain(backwards: str) -> None:
    found = {domain for (domain,) in rows(backwards, "select distinct referrer_domain from marts.fact_web")}
    assert found == {None, "search.example", "example.co.uk", "👟" * 253}


def test_no_event_is_lost_for_want_of_a_dimension_row(backwards: str) -> None:
    found = rows(backwards, """
        select count(*), count(*) filter (where ip_key = '00000000-0000-0000-0000-000000000000'),
            count(*) filter (where user_agent is null), count(*) filter (where user_id is null)
        from marts.fact_web join marts.dim_location using (ip_key) join marts.dim_user_agent using (user_agent_key)
        join marts.dim_users using (user_sk) join marts.dim_product using (product_sk) join marts.dim_date using (date_sk)
        join marts.fct_session using (session_sk)""")  # fmt: skip
    assert found == [(13, 1, 1, 2)]


def test_a_search_is_clicked_when_a_view_comes_before_the_next_answer(backwards: str) -> None:
    found = rows(backwards, f"{CLICKS} join marts.fact_web on search_sk = event_sk order by event_ts")
    assert [(row[1], row[3]) for row in found] == [(True, Decimal(120)), (False, None), (True, Decimal(60))]
    assert rows(backwards, "select searches, searches_with_click from marts.search_terms") == [(3, 2)]


def test_reports_add_up(backwards: str) -> None:
    assert rows(backwards, "select country_name, views, sessions, orders from marts.top_countries") == [
        ("Germany", 3, 1, 0),
        ("Atlantis", 2, 1, 0),
        ("United States", 2, 2, 1),
    ]
    assert rows(backwards, "select * from marts.store_performance where country_code = 'US' order by currency") == [
        ("US", "United States", "Northern America", "EUR", 1, 0, 1, Decimal("25.00")),
        ("US", "United States", "Northern America", None, 1, 2, 0, Decimal("0.00")),
    ]
    assert rows(backwards, "select * from marts.top_referrers where referrer_domain = 'example.co.uk'") == [("example.co.uk", 1, 0)]
    hourly = "select hour, product_id, views, sessions from marts.hourly_product_views order by 1, 2"
    assert rows(backwards, hourly) == [(DAY - timedelta(hours=1), "p1", 1, 1), (DAY, "p1", 3, 2), (DAY, "p2", 2, 1)]
    clients_of = "select browser, os, events, sessions from marts.hourly_clients where hour = %s and browser in ('Chrome', 'Googlebot')"
    assert rows(backwards, clients_of.replace("%s", f"'{DAY}'")) == [("Chrome", "Windows", 2, 1)]


def test_holidays_are_of_the_countries_met_over_the_years_of_the_calendar(backwards: str) -> None:
    [(first, last)] = rows(backwards, "select min(year), max(year) from marts.dim_calendar")
    assert rows(backwards, "select distinct country_name from marts.dim_holiday order by 1") == [("Germany",), ("United States",)]
    years = "select min(extract(year from holiday_date))::integer, max(extract(year from holiday_date))::integer from marts.dim_holiday"
    assert rows(backwards, years) == [(first, last)]
    days = "select holiday_countries from marts.dim_calendar where (month, day) = (%s, %s) and year = " + str(last)
    assert [rows(backwards, days % day) for day in ((12, 25), (10, 3), (10, 4))] == [[("DE, US",)], [("DE",)], [(None,)]]


def killed(*_: object) -> None:
    raise KeyboardInterrupt


def test_values_are_read_once_and_again_when_raw_was_made_anew(postgres: EmbeddedStack, monkeypatch: pytest.MonkeyPatch) -> None:
    with empty_warehouse("web_reference") as database, clients.postgres("loader", database) as loader:
        deliver(database, 1, [step(1, "page_view", 0, geo=geo("Chile", None)), step(2, "page_view", 365 * 24 * -60)])
        # when a run is killed before it commits: then nothing of it is there
        with monkeypatch.context() as patch:
            patch.setattr(reference, "_fill_holidays", killed)
            with pytest.raises(KeyboardInterrupt):
                reference.fill(database)
        assert rows(database, "select count(*) from raw.ref_country") == [(0,)]
        reference.fill(database)
        held = "select spelling, xmin::text from raw.ref_country order by 1"
        before = rows(database, held)
        assert [spelling for spelling, _ in before] == ["Chile", "Germany"]
        # when nothing is new, or what is new is known: then no row is touched
        loader.execute("delete from raw.ref_country where spelling = 'Chile'")
        deliver(database, 2, [step(3, "page_view", 5)])
        for _ in range(2):
            reference.fill(database)
        assert rows(database, held) == before[1:]
        # when raw is made anew under the same numbers: then it is read from its beginning
        loader.execute("truncate raw.log_events, ops.load_manifest")
        deliver(database, 1, [step(1, "page_view", 0, geo=geo("Chile", None))])
        deliver(database, 2, [step(3, "page_view", 5)])
        reference.fill(database)
        assert [spelling for spelling, _ in rows(database, held)] == ["Chile", "Germany"]


def test_a_load_whose_values_are_not_there_waits(postgres: EmbeddedStack, monkeypatch: pytest.MonkeyPatch) -> None:
    with empty_warehouse("web_waits") as database:
        deliver(database, 1, [step(1, "page_view", 0)])
        reference.fill(database)
        # when a load is committed after the values were read
        deliver(database, 2, [step(2, "page_view", 1)])
        monkeypatch.setattr(reference, "fill", lambda _: None)
        run_dbt(["run", "--select", "stg_web_event", "fact_web"], database=database)
        assert rows(database, "select distinct load_id from marts.fact_web") == [(1,)]
        assert rows(database, "select load_id from staging.load_position where node = 'fact_web'") == [(1,)]


def test_every_key_of_the_detail_has_its_row(backwards: str) -> None:
    run = run_dbt(["test", "--select", "fact_web,test_type:data"], database=backwards)
    assert [node.status for node in run.nodes if node.name.startswith("relationships_fact_web")] == ["pass"] * 6
