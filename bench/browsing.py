"""Viewers of the monitor as they are: Chromium, headless, a context each, that goes from page to page and stays a while on each."""

import asyncio
import itertools
import shutil
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from loglake.errors import BadInputError, ServiceError

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

#: As the navigation calls them.
PAGES = ("Live", "Geography", "Pipeline", "Shop", "Quality", "Alerts")
#: Chromium must not reach for the internet; as root it needs no sandbox of its own.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
#: How long a viewer looks at a page: two refreshes of the live one.
STAY_SECONDS = 10.0
#: Ten browsers on two cores are slow to begin with.
_PATIENCE_SECONDS = 60.0
_SIZE = {"width": 1440, "height": 900}


def chromium() -> str:
    """The browser's path; BadInputError where it, or what drives it, is missing."""
    try:
        import playwright.async_api  # noqa: F401
    except ImportError as error:
        raise BadInputError("viewers need Playwright, which comes with the tools for tests: `make setup`") from error
    found = shutil.which("chromium")
    if found is None:
        raise BadInputError("viewers need a browser, and there is no chromium in PATH: `apt-get install chromium`")
    return found


def browse(address: str, filters: Sequence[str], seconds: float, begun: Callable[[], None]) -> list[float]:
    """A viewer for each of the filters (the query of a URL): the seconds until each page that they went to was drawn.

    `begun` is called once all have a page open; what they open first is not counted. ServiceError when a page does not come.
    """
    return asyncio.run(_browse(address, filters, seconds, begun))


async def _browse(address: str, filters: Sequence[str], seconds: float, begun: Callable[[], None]) -> list[float]:
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=list(FLAGS))
        opened = [await _arrive(browser, f"{address}/?{one}") for one in filters]
        begun()
        until = asyncio.get_running_loop().time() + seconds
        drawn = await asyncio.gather(*(_walk(page, place, until) for place, page in enumerate(opened)))
        await browser.close()
    return list(itertools.chain.from_iterable(drawn))


async def _arrive(browser: "Browser", url: str) -> "Page":
    """A new viewer, on the first page."""
    context = await browser.new_context(viewport=_SIZE)  # type: ignore[arg-type]
    context.set_default_timeout(1000 * _PATIENCE_SECONDS)
    page = await context.new_page()
    await page.goto(url)
    await _drawn(page, PAGES[0])
    return page


async def _walk(page: "Page", place: int, until: float) -> list[float]:
    """Go round the pages until the time is up; each viewer begins at another one."""
    clock, seconds = asyncio.get_running_loop().time, []
    for name in itertools.islice(itertools.cycle(PAGES), place + 1, None):
        left = clock()
        await page.get_by_role("link", name=name).click()
        await _drawn(page, name)
        seconds.append(clock() - left)
        await asyncio.sleep(max(0.0, min(STAY_SECONDS, until - clock())))
        if clock() >= until:
            break
    return seconds


async def _drawn(page: "Page", name: str) -> None:
    """Wait until a page has its heading and its script has ended."""
    from playwright.async_api import expect

    milliseconds = 1000 * _PATIENCE_SECONDS
    try:
        await expect(page.get_by_role("heading", level=1)).to_have_text(name, timeout=milliseconds)
        await expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning", timeout=milliseconds)
    except AssertionError as error:
        raise ServiceError(f"the page {name} was not drawn within {_PATIENCE_SECONDS:.0f} s: see `loglake logs monitor`") from error
