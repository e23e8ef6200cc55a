"""The HTML report from given rows: what is drawn, that nothing of the data is taken for markup, and that the page fetches nothing."""

import base64
import hashlib
import json
import re
from decimal import Decimal
from typing import Any

import plotly.graph_objects as go
import pytest
from plotly.offline import get_plotlyjs

from loglake.bi.measures import MONEY, SHARE
from loglake.bi.pages import CURRENCY, PAGES, Visual
from loglake.bi.query import Slice
from loglake.report.figures import figure
from loglake.report.page import Block, Card, block, laid_out, matrix, render, table
from loglake.report.read import Result
from loglake.report.text import shown, span
from tests.reportrows import DAYS, EVIL, Parsed, report, rows_of

pytestmark = pytest.mark.unit


def painted(drawn: Any, key: str = "") -> Any:
    """A figure with a real colour for each name of a CSS variable, as page.js makes it."""
    if isinstance(drawn, dict):
        return {name: painted(part, name) for name, part in drawn.items()}
    if isinstance(drawn, list):
        return [painted(part) for part in drawn]
    return "#123456" if key.endswith("color") else drawn


@pytest.fixture(scope="module")
def page() -> str:
    return render(report())


@pytest.mark.parametrize("visual", [v for p in PAGES for v in p.visuals if v.kind in {"line", "bar", "funnel"}], ids=lambda v: v.name)
def test_plotly_knows_every_property_of_a_figure(visual: Visual) -> None:
    drawn = figure(Result(visual, rows_of(visual)))

    assert len(go.Figure(painted(drawn.data), painted(drawn.layout)).data) == len(drawn.data) > 0


def test_every_visual_of_the_report_is_on_the_page(page: str) -> None:
    for visual in (visual for part in PAGES for visual in part.visuals):
        if visual.kind == "card":
            assert all(f"<h3>{measure}" in page for measure in visual.measures)
        else:
            assert f'id="{visual.name}"' in page


def test_the_page_names_nothing_outside_itself(page: str) -> None:
    parsed = Parsed(page)

    assert all(reference.startswith("#") for reference in parsed.references)
    assert not {"link", "img", "iframe", "object", "embed", "base", "form"} & set(parsed.tags)
    style = page[page.index("<style>") : page.index("</style>")]
    assert not re.search(r"url\(|@import|//", style)


def test_plotly_is_in_the_page_once_and_only_the_pages_own_scripts_may_run(page: str) -> None:
    assert page.count(get_plotlyjs()) == 1
    hashes = {f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'" for source in Parsed(page).programs}
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    allowed = {part.split()[0]: set(part.split()[1:]) for part in policy.group(1).split(";")}
    assert allowed["script-src"] == hashes
    assert allowed["default-src"] == {"'none'"}
    assert len(hashes) == 2


def test_what_the_data_says_stays_text(page: str) -> None:
    parsed = Parsed(page)

    assert len(parsed.programs) == 2
    assert EVIL in parsed.words
    drawn = parsed.data_of("revenue_by_category-figure")
    assert drawn["layout"]["yaxis"]["ticktext"][0].startswith("&lt;/script&gt;&lt;script&gt;")
    assert "<a" not in json.dumps(drawn)


def test_names_that_look_like_numbers_or_alike_have_places_of_their_own() -> None:
    visual = Visual("v", "V", "bar", ("Sessions",), ("conversion_funnel.device_type",), order="Sessions")
    names = ["1984", "x" * 40 + "a", "x" * 40 + "b"]

    drawn = figure(Result(visual, tuple((name, 3 - place) for place, name in enumerate(names))))

    assert drawn.data[0]["y"] == drawn.layout["yaxis"]["tickvals"] == [0, 1, 2]
    assert drawn.layout["yaxis"]["ticktext"] == ["1984", "x" * 29 + "…", "x" * 29 + "…"]


def test_a_chart_of_very_many_bars_draws_the_first_ones_and_says_so() -> None:
    visual = Visual("v", "V", "bar", ("Revenue",), ("dim_product.category", CURRENCY), order="Orders")
    found = block(Result(visual, tuple((f"c{place}", "EUR", Decimal(place)) for place in range(1000))))

    assert found.note == "in EUR, the first 20 of 1,000"
    assert found.figure is not None
    assert found.figure.data[0]["x"] == [float(place) for place in range(999, 979, -1)]
    assert found.table is not None
    assert len(found.table.rows) == 1000


def test_currencies_are_series_of_their_own_and_a_single_one_is_named_in_the_title() -> None:
    visual = Visual("v", "V", "bar", ("Revenue",), ("dim_product.category", CURRENCY), order="Orders")
    both = Result(visual, (("a", "EUR", Decimal("1.50")), ("b", "EUR", Decimal("2.50")), ("b", "USD", Decimal("9.00"))))
    one = Result(visual, both.rows[:2])

    traces = figure(both).data
    assert [(trace["name"], trace["x"]) for trace in traces] == [("EUR", [1.5, 2.5]), ("USD", [None, 9.0])]
    assert traces[1]["hovertext"][1] == "b<br>USD: 9.00 USD"
    assert (block(both).note, block(one).note) == ("", "in EUR")
    assert figure(one).data[0]["x"] == [2.5, 1.5]  # a single series: the greatest first


def test_cards_show_amounts_with_their_currency_and_what_is_not_known_as_a_dash() -> None:
    visual = Visual("v", "V", "card", ("Revenue", "Orders"), (CURRENCY,))
    result = Result(visual, (("EUR", Decimal("1234567.80"), 12), ("USD", None, 0)))

    found = [(card.title, card.value, card.unit) for row in block(result).cards for card in row]
    assert found == [
        ("Revenue, EUR", "1,234,567.80", "EUR"),
        ("Orders, EUR", "12", ""),
        ("Revenue, USD", "\N{EN DASH}", "USD"),
        ("Orders, USD", "0", ""),
    ]
    assert [len(row) for row in block(result).cards] == [2, 2]


def test_the_funnel_tells_each_steps_share_of_the_first() -> None:
    visual = Visual("v", "V", "funnel", ("Sessions", "Bought"))
    assert figure(Result(visual, ((2000, 100),))).data[0]["text"] == ["2,000  ·  100.0%", "100  ·  5.0%"]
    assert figure(Result(visual, ((0, 0),))).data[0]["text"][1] == "0  ·  0.0%"


def test_a_matrix_has_a_column_for_each_member_and_no_figure_where_there_is_no_row() -> None:
    visual = Visual("v", "V", "matrix", ("Retention",), ("weekly_retention.cohort_week", "weekly_retention.weeks_since"))
    found = matrix(Result(visual, ((DAYS[0], 0, Decimal(1)), (DAYS[0], 1, Decimal("0.5")), (DAYS[1], 0, Decimal(1)))))

    assert found.head == ("Cohort week", "+0", "+1")
    assert found.rows == (("4 Mar 2026", "100.0%", "50.0%"), ("5 Mar 2026", "100.0%", ""))
    assert found.shades == ((1.0, 0.5), (1.0, 0.0))


def test_a_block_that_would_stand_beside_a_gap_is_wide() -> None:
    cards = Block("c", "", "", cards=((Card("", "", "", ""),),))
    half, wide = Block("h", "", ""), Block("w", "", "", wide=True)

    assert [one.wide for one in laid_out([cards, half, half, half, wide, half])] == [False, False, False, True, True, True]
    assert [one.wide for one in laid_out([half, half, wide, half, half])] == [False, False, True, False, False]


def test_a_table_has_the_rows_as_they_came() -> None:
    visual = Visual("v", "V", "table", ("Units sold", "Revenue"), ("dim_product.product_name", CURRENCY))
    found = table(Result(visual, (("Schuh 👟", "EUR", 1234, Decimal("0.99")), (None, "EUR", None, Decimal("1.00")))))

    assert found.head == ("Product name", "Currency", "Units sold", "Revenue")
    assert found.rows == (("Schuh 👟", "EUR", "1,234", "0.99"), ("(not given)", "EUR", "\N{EN DASH}", "1.00"))


def test_rows_without_a_day_are_in_the_table_and_not_on_the_axis_of_days() -> None:
    visual = Visual("v", "V", "line", ("Orders",), ("dim_calendar.calendar_date",))
    found = block(Result(visual, ((DAYS[0], 3), (None, 2))))

    assert found.figure is not None
    assert found.figure.data[0]["x"] == ["2026-03-04"]
    assert found.table is not None
    assert found.table.rows[1] == ("(not given)", "2")


def test_a_warehouse_without_events_gives_a_page_that_says_so() -> None:
    page = render(report(freshness=None, pages=()))

    assert "hold no event yet" in page
    assert "<h2" not in page


def test_a_visual_without_rows_says_so() -> None:
    page = render(report(pages=tuple((part, tuple(Result(visual, ()) for visual in part.visuals)) for part in PAGES)))

    assert page.count("Nothing to show.") == sum(len(part.visuals) for part in PAGES)


def test_the_page_says_which_part_of_the_data_it_shows() -> None:
    page = render(report(part=Slice(since=DAYS[0], until=DAYS[1], currency="EUR")))

    assert "4 Mar 2026 to 5 Mar 2026 · EUR only" in page
    assert "12,345 events from" in page
    assert "up to load 7" in page
    assert [span(*days) for days in ((DAYS[0], DAYS[0]), (None, DAYS[0]), (DAYS[0], None), (None, None))] == [
        "4 Mar 2026", "until 4 Mar 2026", "since 4 Mar 2026", ""]  # fmt: skip


@pytest.mark.parametrize(("number", "how", "text"), [(Decimal("1234.5"), MONEY, "1,234.50"), (Decimal("0.123"), SHARE, "12.3%")])
def test_numbers_are_written_with_thousands_and_a_fixed_number_of_places(number: Decimal, how: Any, text: str) -> None:
    assert shown(number, how) == text
