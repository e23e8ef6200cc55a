"""The report as it is declared: measures in two languages, pages, and the SQL of each visual."""

import re
from datetime import date

import pytest

from loglake.bi.measures import MEASURES
from loglake.bi.pages import CURRENCY, PAGES, Visual
from loglake.bi.query import Slice, columns_of, joins, query

pytestmark = pytest.mark.unit

VISUALS = {visual.name: visual for page in PAGES for visual in page.visuals}


def test_names_are_unique() -> None:
    assert len(VISUALS) == sum(len(page.visuals) for page in PAGES)
    assert len({page.name for page in PAGES}) == len(PAGES)


@pytest.mark.parametrize("name", MEASURES)
def test_dax_and_sql_of_a_measure_name_the_same_columns_and_measures(name: str) -> None:
    measure = MEASURES[name]

    assert set(re.findall(r"(\w+)\[(\w+)\]", measure.dax)) == set(columns_of(measure.sql))
    assert set(re.findall(r"(?<!\w)\[([^\]]+)\]", measure.dax)) == set(measure.parts) <= MEASURES.keys()


@pytest.mark.parametrize("visual", VISUALS.values(), ids=VISUALS)
def test_money_is_shown_by_currency_and_sorts_nothing(visual: Visual) -> None:
    money = [name for name in visual.measures if MEASURES[name].is_money]

    assert not money or CURRENCY in visual.by
    assert not visual.order or not MEASURES[visual.order].is_money
    assert not visual.top or (visual.order and visual.by)


def test_a_query_sums_each_fact_apart_and_puts_the_sums_side_by_side() -> None:
    text = query(Visual("v", "V", "bar", ("Orders per view",), ("dim_product.category",), order="Product views"))

    assert text.count("union all") == 1
    assert "from marts.fct_product_day" in text
    assert "from marts.fact_order" in text
    assert text.endswith('order by max(parts."Product views") desc nulls last, parts.category')


def test_a_slice_bounds_the_facts_that_have_a_day_or_a_currency() -> None:
    part = Slice(since=date(2026, 3, 1), currency="EUR")
    text = query(Visual("v", "V", "card", ("Orders", "Product views", "Products")), part)

    orders, rest = text.split("union all", 1)
    assert "where dim_date.calendar_date >= %(since)s and fact_order.currency = %(currency)s" in orders
    assert "join marts.dim_date on fact_order.date_sk = dim_date.date_sk" in orders
    views, products = rest.split("union all")
    assert "where fct_product_day.activity_date >= %(since)s\n" in views
    assert "where" not in products.replace("filter (where", "")
    assert part.parameters == {"since": date(2026, 3, 1), "currency": "EUR"}


def test_a_fact_finds_its_day_through_its_hour_or_by_itself() -> None:
    assert joins("fact_order", {"fact_order", "dim_calendar"}) == {
        "dim_date": ("fact_order.date_sk", "date_sk"),
        "dim_calendar": ("dim_date.calendar_date", "calendar_date"),
    }
    assert joins("fct_user_day", {"dim_calendar", "dim_users"}) == {
        "dim_users": ("fct_user_day.user_sk", "user_sk"),
        "dim_calendar": ("fct_user_day.activity_date", "calendar_date"),
    }


def test_a_column_that_a_fact_cannot_reach_is_refused() -> None:
    with pytest.raises(ValueError, match="fct_product_day has no relationship to fact_order"):
        query(Visual("v", "V", "bar", ("Product views",), (CURRENCY,)))
