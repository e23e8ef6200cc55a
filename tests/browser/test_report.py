"""The report's page in a real Chromium that reaches nothing but the file: charts are drawn, and nothing is fetched or run."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from loglake.bi.pages import PAGES
from loglake.report.page import render
from tests.reportrows import EVIL, report

pytestmark = pytest.mark.browser

CHARTS = [visual for part in PAGES for visual in part.visuals if visual.kind in {"line", "bar", "funnel"}]


@pytest.fixture
def opened(page: Page, tmp_path: Path) -> tuple[Page, list[str], list[str]]:
    """The page, what it said on the console, and what it asked for beyond itself."""
    target = tmp_path / "report.html"
    target.write_text(render(report()))
    said: list[str] = []
    asked: list[str] = []

    def only_the_file(route: Route) -> None:
        if route.request.url == target.as_uri():
            route.continue_()
        else:
            asked.append(route.request.url)
            route.abort()

    page.route("**/*", only_the_file)
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    page.goto(target.as_uri())
    return page, said, asked


def test_every_chart_is_drawn_and_nothing_is_fetched(opened: tuple[Page, list[str], list[str]]) -> None:
    page, said, asked = opened
    for visual in CHARTS:
        expect(page.locator(f"#{visual.name} svg.main-svg").first).to_be_visible()
    expect(page.locator("#revenue_by_category .bars path").first).to_be_visible()
    family = page.locator("body").evaluate("body => getComputedStyle(body).fontFamily")
    expect(page.locator("#funnel .ytick text").first).to_have_css("font-family", family)

    assert (said, asked) == ([], [])


def test_text_of_the_data_is_shown_and_neither_run_nor_made_a_link(opened: tuple[Page, list[str], list[str]]) -> None:
    page, said, _ = opened
    expect(page.locator("#most_viewed").get_by_text(EVIL).first).to_be_visible()
    label = page.locator("#revenue_by_category .yaxislayer-above text").first
    expect(label).to_contain_text("</script><script>alert(1)")

    assert page.locator("main a").count() == 0
    assert said == []


def test_a_script_that_is_not_the_pages_own_does_not_run(opened: tuple[Page, list[str], list[str]]) -> None:
    page, said, _ = opened
    page.evaluate("document.body.append(Object.assign(document.createElement('script'), { textContent: 'document.title = \"taken\"' }))")

    assert page.title() != "taken"
    assert any("Content Security Policy" in text for text in said)


def test_charts_follow_a_change_to_dark(opened: tuple[Page, list[str], list[str]]) -> None:
    page, _, _ = opened
    bar = page.locator("#revenue_by_category .bars path").first
    light = bar.evaluate("element => getComputedStyle(element).fill")
    page.emulate_media(color_scheme="dark")

    expect(bar).not_to_have_css("fill", light)


def test_each_page_is_reached_by_its_name_and_figures_stand_in_a_table(opened: tuple[Page, list[str], list[str]]) -> None:
    page, _, _ = opened
    page.get_by_role("navigation").get_by_role("link", name="Users").click()
    expect(page.get_by_role("heading", name="Users", exact=True)).to_be_in_viewport()
    page.locator("#funnel summary").click()
    expect(page.locator("#funnel").get_by_role("columnheader", name="Sessions")).to_be_visible()
