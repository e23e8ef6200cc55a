"""A page of the monitor that is open in Chromium."""

import re
from pathlib import Path

from playwright.sync_api import ConsoleMessage, Page, Request, expect

#: Streamlit looks for its server below the page's own path first, and finds it at the second try.
_PROBES = re.compile(r"/_stcore/(health|host-config)$")


#: Of a picture in the documents, in bytes.
_MOST_BYTES = 250_000
#: The first page of a process that has just started imports what it draws with.
_FIRST = 60_000


class Visit:
    """A page that is open, what it complained of, and what it asked for beyond this machine."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self.address = address
        self.said: list[str] = []
        self.asked: list[str] = []
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("request", self._see)

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not _PROBES.search(message.location["url"]):
            self.said.append(f"{message.text} {message.location['url']}")

    def _see(self, request: Request) -> None:
        if not request.url.startswith((self.address, self.address.replace("http", "ws"), "data:", "blob:")):
            self.asked.append(request.url)

    def open(self, name: str, **params: str) -> None:
        query = "&".join(f"{key}={value}" for key, value in params.items())
        self.page.goto(f"{self.address}/{'' if name == 'live' else name}?{query}")
        expect(self.page.get_by_role("heading", level=1)).to_have_text(name.capitalize(), timeout=_FIRST)
        self._wait()
        expect(self.page.get_by_test_id("stException")).to_have_count(0)

    def _wait(self) -> None:
        """Until the page's script has ended, and what it asked for has come."""
        expect(self.page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning", timeout=_FIRST)
        expect(self.page.get_by_test_id("stStatusWidget")).to_have_count(0, timeout=_FIRST)
        expect(self.page.get_by_test_id("stSkeleton")).to_have_count(0)
        expect(self.page.get_by_test_id("stSpinner")).to_have_count(0)

    def picture(self, path: Path) -> None:
        """Keep what is in sight, once its charts are drawn; small enough for the documents."""
        self._wait()
        for chart in self.page.get_by_test_id("stVegaLiteChart").all():
            expect(chart.locator("svg, canvas").first).to_be_attached()
        self.page.mouse.move(0, 0)
        self.page.screenshot(path=path)
        assert 10_000 < path.stat().st_size < _MOST_BYTES
