"""The monitor beside the whole stack: events reach the page, every stage is shown, and one that is stopped is shown down."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from stack import monitor
from tests import pipeline
from tests.browser.visit import Visit
from tests.stackfixture import EmbeddedStack

pytestmark = pytest.mark.browser
#: A stage is judged anew every 15 s, and shown at the next refresh but one.
SOON = 90_000


@pytest.fixture(scope="module")
def watched(airflow: EmbeddedStack, tmp_path_factory: pytest.TempPathFactory) -> EmbeddedStack:
    """The whole stack with events in marts and live windows, and the monitor."""
    airflow.start(("live-stream", "metrics", "monitor"))
    pipeline.generate(airflow, tmp_path_factory.mktemp("ledger") / "ledger", "--count", "3000", "--seed", "71")
    pipeline.wait_in_lake(airflow)
    pipeline.run_dag(airflow)
    return airflow


@pytest.fixture
def visit(watched: EmbeddedStack, page: Page) -> Visit:
    assert watched.runtime.exists()
    return Visit(page, monitor.base_url())


def stage(page: Page, name: str) -> Locator:
    return page.locator(".flow li").filter(has=page.get_by_role("heading", name=name, exact=True))


def test_events_reach_the_live_page(visit: Visit) -> None:
    visit.open("live")
    events = visit.page.get_by_test_id("stMetric").filter(has_text="Events / min")
    expect(events.get_by_test_id("stMetricValue")).to_have_text(re.compile(r"^[1-9][\d,]*$"), timeout=SOON)
    expect(visit.page.get_by_text(re.compile("newest event 20")).first).to_be_visible()
    expect(visit.page.get_by_text("the live stream is silent")).to_have_count(0)
    assert visit.said == []
    assert visit.asked == []


def test_every_stage_runs_and_the_servers_are_named(visit: Visit, pictures: Path) -> None:
    visit.open("pipeline")
    for name in ("Kafka topic", "Lake stream", "Lake", "Load", "Marts", "Live windows"):
        expect(stage(visit.page, name)).to_contain_text("running", timeout=SOON)
    for service in ("Postgres", "Kafka", "HDFS", "Spark", "stream", "Airflow scheduler"):
        expect(visit.page.get_by_role("row", name=re.compile(rf"^{service} ● up"))).to_be_visible(timeout=SOON)
    expect(visit.page.get_by_text(re.compile("The books balance, checked"))).to_be_visible(timeout=SOON)
    assert visit.said == []
    visit.picture(pictures / "monitor-pipeline.png")


def test_what_is_stopped_is_shown_down_and_the_rest_of_the_page_stays(watched: EmbeddedStack, visit: Visit) -> None:
    visit.open("pipeline")
    watched.stop("airflow-api")
    watched.stop("live-stream")
    try:
        expect(stage(visit.page, "Live windows")).to_contain_text("down", timeout=SOON)
        expect(visit.page.get_by_role("row", name=re.compile("^Airflow ▲ down"))).to_be_visible(timeout=SOON)
        expect(stage(visit.page, "Load")).to_contain_text("running")
        expect(visit.page.get_by_role("heading", name="Loads", exact=True)).to_be_visible()
    finally:
        watched.start(("airflow-api", "live-stream"))
    expect(stage(visit.page, "Live windows")).to_contain_text("running", timeout=SOON)
