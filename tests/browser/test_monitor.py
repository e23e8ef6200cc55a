"""The monitor's pages in a real Chromium, on a filled warehouse: drawn without fault, usable on a phone, nothing fetched."""

import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from bench import browsing
from loglake import clients
from loglake.alerts import thresholds
from loglake.settings import child_environment, settings
from stack import monitor
from tests.browser.visit import Visit
from tests.monitorapp import PAGES, filled
from tests.stackfixture import EmbeddedStack, free_ports
from tests.waiting import wait_for

pytestmark = pytest.mark.browser
DESKTOP, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
SCREENS = {"desktop": (DESKTOP, "light"), "dark": (DESKTOP, "dark"), "phone": (PHONE, "light")}
#: But for the lines in Streamlit's own figures, whose marks have no text; the figure beside says what they show.
_LOOKED_AT = {"exclude": [["[data-testid=stMetricChart]"]]}


@pytest.fixture(scope="module")
def served(postgres: EmbeddedStack) -> Iterator[str]:
    """The address of a monitor on a filled warehouse; on a port of its own, as the stack's may run too."""
    assert postgres.runtime.exists()
    with pytest.MonkeyPatch.context() as patch, filled("monitor_browser"):
        patch.setenv("LOGLAKE_MONITOR_PORT", free_ports()["LOGLAKE_MONITOR_PORT"])
        settings.cache_clear()
        service = monitor.service()
        environment = child_environment(**service.environment)
        with subprocess.Popen(service.command, cwd=service.directory, env=environment) as process:
            try:
                wait_for("the monitor to answer", lambda: process.poll() is None and not service.lacks(None))  # type: ignore[arg-type]
                yield monitor.base_url()
            finally:
                process.terminate()


@pytest.fixture
def visit(browser: Browser, served: str, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """At the size and scheme that the test asks for; a desktop in light otherwise."""
    size, scheme = getattr(request, "param", (DESKTOP, "light"))
    context = browser.new_context(viewport=size, color_scheme=scheme, accept_downloads=True)
    context.set_default_timeout(60_000)
    yield Visit(context.new_page(), served)
    context.close()


@pytest.mark.parametrize("visit", SCREENS.values(), ids=SCREENS, indirect=True)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_opens_without_a_fault_and_axe_finds_nothing_serious(name: str, visit: Visit) -> None:
    visit.open(name, range="30d")
    expect(visit.page.get_by_test_id("stSkeleton")).to_have_count(0)
    assert visit.said == []
    assert visit.asked == []
    assert visit.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "the page is wider than the screen"
    found = Axe().run(visit.page, context=_LOOKED_AT).response["violations"]
    grave = [one for one in found if one["impact"] in {"serious", "critical"}]
    assert [(one["id"], one["nodes"][0]["html"][:200], one["nodes"][0]["failureSummary"]) for one in grave] == []


def test_a_filter_goes_into_the_url_and_holds_on_the_next_page(visit: Visit) -> None:
    visit.open("live")
    visit.page.get_by_role("combobox", name=re.compile("Event type")).click()
    visit.page.get_by_role("option", name="product_view").click()
    expect(visit.page).to_have_url(re.compile(r"type=product_view"))
    visit.page.get_by_role("link", name="Shop").click()
    expect(visit.page.get_by_role("heading", level=1)).to_have_text("Shop")
    expect(visit.page).to_have_url(re.compile(r"/shop\?.*type=product_view"))
    expect(visit.page.get_by_text("event type: product_view")).to_be_visible()


def test_a_forged_url_is_said(visit: Visit) -> None:
    visit.open("live", range="9999d", country="%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E")
    expect(visit.page.get_by_text("at most 366 days can be shown")).to_be_visible()
    expect(visit.page.get_by_text("it is no plain name")).to_be_visible()
    assert visit.page.locator("img[src=x]").count() == 0


@pytest.mark.parametrize(("kind", "read"), [("CSV", pd.read_csv), ("Parquet", pd.read_parquet)])
def test_an_export_holds_the_rows_and_is_named_after_the_filter(kind: str, read: object, visit: Visit, tmp_path: Path) -> None:
    visit.open("geography", range="30d", country="Germany")
    visit.page.get_by_role("button", name="Export").first.click()
    with visit.page.expect_download() as waiting:
        visit.page.get_by_role("button", name=kind).click()
    name = waiting.value.suggested_filename
    assert re.fullmatch(rf"loglake_events-by-country_30d_germany_\d{{8}}T\d{{6}}Z\.{kind.lower()}", name)
    waiting.value.save_as(tmp_path / name)
    frame = read(tmp_path / name)  # type: ignore[operator]
    assert list(frame["country"]) == ["Germany"]
    assert frame["events"].iloc[0] > 0


def test_the_map_is_drawn_and_a_country_opens_its_cities(visit: Visit) -> None:
    visit.open("geography", range="30d")
    countries = visit.page.locator("[aria-label^='World map'] svg .mark-shape path")
    expect(countries.nth(170)).to_be_attached()
    visit.page.get_by_role("combobox", name=re.compile("Cities of")).click()
    visit.page.get_by_role("option", name="Germany").click()
    expect(visit.page.locator("[data-testid=stVegaLiteChart][aria-label^='Cities of Germany: most events from']")).to_be_visible()


def test_a_chart_is_saved_as_a_picture(visit: Visit, tmp_path: Path) -> None:
    visit.open("shop", range="30d")
    visit.page.get_by_test_id("stVegaLiteChart").first.hover()
    with visit.page.expect_download() as waiting:
        visit.page.get_by_role("button", name=re.compile("^Download as PNG: Revenue")).click()
    waiting.value.save_as(tmp_path / "chart.png")
    assert (tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG")


def test_a_threshold_is_changed_and_its_rule_fires(visit: Visit) -> None:
    visit.open("alerts")
    rule = visit.page.get_by_role("combobox", name="Rule")
    rule.click()
    # The list draws only what is in sight of it.
    rule.fill("Answers are slow")
    expect(visit.page.get_by_role("option", name="Answers are slow")).to_be_attached()
    rule.press("Enter")
    limit = visit.page.get_by_role("spinbutton")
    expect(limit).to_have_value("1000")
    limit.fill("1")
    visit.page.get_by_role("textbox", name="Your name").fill("Ada")
    visit.page.get_by_role("button", name="Save").click()
    expect(visit.page.get_by_text("Answers are slow: now 1 ms")).to_be_visible()
    expect(visit.page.get_by_role("row", name=re.compile("firing Answers are slow"))).to_be_visible(timeout=60_000)
    assert thresholds.in_force().latency_p95_ms == 1
    visit.page.get_by_role("button", name="Back to the setting").click()
    expect(visit.page.get_by_text("Answers are slow: now the setting")).to_be_visible()
    with clients.postgres("monitor") as connection:
        assert [change.set_by for change in thresholds.history(connection, 2)] == ["Ada", "Ada"]


@pytest.mark.parametrize("visit", [(PHONE, "light")], ids=["phone"], indirect=True)
def test_on_a_phone_the_filters_are_behind_the_menu(visit: Visit) -> None:
    visit.open("live")
    visit.page.get_by_test_id("stExpandSidebarButton").click()
    visit.page.get_by_role("combobox", name=re.compile("Time range")).click()
    visit.page.get_by_role("option", name="1h", exact=True).click()
    expect(visit.page).to_have_url(re.compile("range=1h"))


def test_live_refreshes_by_itself_and_does_not_jump(visit: Visit) -> None:
    visit.open("live")
    expect(visit.page.get_by_test_id("stDataFrame").last).to_be_attached()
    visit.page.evaluate("document.querySelector('[data-testid=stMain]').scrollTop = 700")
    before = _scrolled(visit.page)
    assert before > 0
    with clients.postgres("loader") as connection:
        connection.execute("update live.stream_state set updated_at = now(), batch_rows = 4242")
        connection.execute("update ops.stream_heartbeat set seen_at = now() where stream = 'live'")
    expect(visit.page.get_by_text("last batch 4,242 records")).to_be_attached(timeout=60_000)
    assert _scrolled(visit.page) == before


def _scrolled(page: Page) -> int:
    return int(page.evaluate("document.querySelector('[data-testid=stMain]').scrollTop"))


@pytest.mark.parametrize("name", [name for name in PAGES if name != "pipeline"])
def test_a_page_as_a_picture(name: str, visit: Visit, pictures: Path) -> None:
    """Of the pipeline tests/browser/test_monitor_stack.py takes it, as that page shows what runs."""
    _pictured(visit, name, pictures / f"monitor-{name}.png")


@pytest.mark.parametrize(
    ("visit", "name", "kind"),
    [((DESKTOP, "dark"), "shop", "dark"), ((PHONE, "light"), "live", "phone"), ((PHONE, "light"), "shop", "phone")],
    ids=["dark", "phone", "phone-shop"],
    indirect=["visit"],
)
def test_a_page_as_a_picture_in_the_dark_and_on_a_phone(name: str, kind: str, visit: Visit, pictures: Path) -> None:
    _pictured(visit, name, pictures / f"monitor-{name}-{kind}.png")


def _pictured(visit: Visit, name: str, path: Path) -> None:
    """As if the live stream ran."""
    with clients.postgres("loader") as connection:
        connection.execute("update live.stream_state set updated_at = now()")
        connection.execute("update ops.stream_heartbeat set seen_at = now()")
    visit.open(name, range="30d" if name in {"geography", "shop", "quality"} else "15m")
    visit.picture(path)


def test_viewers_of_the_measurement_go_from_page_to_page(served: str) -> None:
    begun: list[bool] = []
    with ThreadPoolExecutor(1) as beside:  # Playwright's own loop runs in this thread
        drawn = beside.submit(browsing.browse, served, ["range=30d", "range=30d&type=login"], 1, lambda: begun.append(True)).result()
    assert begun == [True]
    assert len(drawn) == 2
    assert 0 < max(drawn) < 60


def test_a_foreign_name_for_this_machine_reaches_no_page(served: str) -> None:
    """As a page elsewhere would ask that lets its name lead here (DNS rebinding): its socket is refused."""
    wanted = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    with clients.web() as session:
        own = session.get(f"{served}/_stcore/stream", headers=wanted, timeout=20, stream=True)
        foreign = session.get(
            f"{served}/_stcore/stream", headers={**wanted, "Host": "evil.example", "Origin": "http://evil.example"}, timeout=20
        )
    assert (own.status_code, foreign.status_code) == (101, 403)
    own.close()
