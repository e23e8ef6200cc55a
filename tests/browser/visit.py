"""A page of the monitor that is open in Chromium."""

import re

from playwright.sync_api import ConsoleMessage, Page, Request, expect

#: Streamlit looks for its server below the page's own path first, and finds it at the second try.
_PROBES = re.compile(r"/_stcore/(health|host-config)$")


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
        expect(self.page.get_by_test_id("stStatusWidget")).to_have_count(0, timeout=_FIRST)
        expect(self.page.get_by_test_id("stException")).to_have_count(0)
