"""A report with hand-made rows, some of them hostile, and what a parser finds in a report's page."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any

from loglake.bi.measures import MEASURES, MONEY, SHARE
from loglake.bi.pages import PAGES, Visual
from loglake.bi.query import Slice
from loglake.report.read import Freshness, Report, Result, Row

EVIL = "</script><script>alert(1)</script> <a href='https://evil.example/'>👟</a> & $x$"
DAYS = (date(2026, 3, 4), date(2026, 3, 5))
MEMBERS: dict[str, tuple[Any, ...]] = {
    "calendar_date": DAYS,
    "cohort_week": DAYS,
    "currency": ("EUR", "USD"),
    "weeks_since": (0, 1),
    "product_name": (EVIL, None),
}


def rows_of(visual: Visual) -> tuple[Row, ...]:
    """Two members of each column, and measures that rise from row to row."""
    keys: list[tuple[Any, ...]] = [()]
    for by in visual.by:
        name = by.partition(".")[2]
        keys = [(*key, one) for key in keys for one in MEMBERS.get(name, (EVIL, None))]
    return tuple((*key, *(value(name, place) for name in visual.measures)) for place, key in enumerate(keys, start=1))


def value(measure: str, place: int) -> Any:
    kind = MEASURES[measure].format
    return Decimal(place) / 10 if kind is SHARE else Decimal(f"{place}234.50") if kind is MONEY else place * 1000


def report(**changes: Any) -> Report:
    moment = datetime(2026, 3, 5, 12, tzinfo=UTC)
    values: dict[str, Any] = {
        "database": "loglake",
        "made_at": moment,
        "part": Slice(),
        "freshness": Freshness(7, 12345, moment, moment),
        "pages": tuple((page, tuple(Result(visual, rows_of(visual)) for visual in page.visuals)) for page in PAGES),
        **changes,
    }
    return Report(**values)


_REFERENCES = {"src", "href", "srcset", "action", "data", "poster", "xlink:href", "background"}


class Parsed(HTMLParser):
    """A page's tags, what their attributes refer to, its scripts (attributes, source) and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.references: list[str] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.words: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.references += [str(value) for name, value in attrs if name in _REFERENCES]
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_data(self, data: str) -> None:
        if self.cdata_elem == "script":
            attributes, source = self.scripts[-1]
            self.scripts[-1] = (attributes, source + data)
        else:
            self.words.append(data)

    @property
    def programs(self) -> list[str]:
        """The scripts that run; the others hold data."""
        return [source for attributes, source in self.scripts if "type" not in attributes]

    def data_of(self, name: str) -> Any:
        [source] = [source for attributes, source in self.scripts if attributes.get("id") == name]
        return json.loads(source)
