"""What a viewer looks at: a range of time, a country, an event type, a device. Pure: from the URL's texts to a checked `Filter`.

A text of the URL is only ever compared and shown, or handed to Postgres as a bound parameter. What cannot be used is left out and said.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import get_args

from loglake.events import EventType

ALL = "All"
RANGES = ("5m", "15m", "1h", "2h", "24h", "7d", "30d", "90d")
DEFAULT_RANGE = "15m"
LONGEST = timedelta(days=366)
LONGEST_TEXT = 60
#: What names of countries have beside letters.
_OF_NAMES = " .'\u2019&()-,"
DEVICES = ("desktop", "mobile", "tablet", "bot")
EVENT_TYPES: tuple[str, ...] = get_args(EventType)

#: The names of the filters in the URL, and of their widgets.
RANGE, COUNTRY, EVENT_TYPE, DEVICE = NAMES = ("range", "country", "type", "device")
_LABELS = {RANGE: "time range", COUNTRY: "region", EVENT_TYPE: "event type", DEVICE: "device"}
_RANGE = re.compile(r"([1-9]\d{0,3})([mhd])", re.ASCII)
_UNITS = {"m": ("minute", timedelta(minutes=1)), "h": ("hour", timedelta(hours=1)), "d": ("day", timedelta(days=1))}


@dataclass(frozen=True)
class Filter:
    """A checked choice; None is every value."""

    range: str = DEFAULT_RANGE
    country: str | None = None
    event_type: str | None = None
    device: str | None = None

    @property
    def length(self) -> timedelta:
        return length(self.range)

    def at_least_a_day(self) -> "Filter":
        """What the marts show: they are loaded every ten minutes, and much of them is by the day."""
        return self if self.length >= timedelta(days=1) else replace(self, range="24h")

    @property
    def days(self) -> int:
        """Whole days that the range reaches back, at least one: for what the marts count by day."""
        return max(1, -(-self.length // timedelta(days=1)))

    @property
    def chosen(self) -> list[str]:
        """What is filtered beside the time, for people."""
        values = {COUNTRY: self.country, EVENT_TYPE: self.event_type, DEVICE: self.device}
        return [f"{_LABELS[name]}: {value}" for name, value in values.items() if value is not None]

    @property
    def slug(self) -> str:
        """For a file's name: the range and what is chosen, in letters that every file system takes."""
        parts = [self.range, *(value for value in (self.country, self.event_type, self.device) if value is not None)]
        return "_".join(re.sub(r"[^\w]+", "-", part).strip("-").lower() or "x" for part in parts)


def length(text: str) -> timedelta:
    """The length of a range such as 15m, 2h, 30d; ValueError, in words for people, when it is none or too long."""
    found = _RANGE.fullmatch(text)
    if not found:
        raise ValueError("write a number and m, h or d, e.g. 45m, 6h or 14d")
    span = int(found[1]) * _UNITS[found[2]][1]
    if span > LONGEST:
        raise ValueError(f"at most {LONGEST.days} days can be shown")
    return span


def range_label(text: str) -> str:
    """E.g. Last 15 minutes."""
    number, unit = int(text[:-1]), _UNITS[text[-1]][0]
    return f"Last {unit}" if number == 1 else f"Last {number} {unit}s"


def problems(params: Mapping[str, str], countries: Iterable[str]) -> list[str]:
    """What of the URL cannot be used, a line each: it is left out, so the page says so."""
    said = []
    for name in NAMES:
        if name in params and (why := _objection(name, params[name], countries)):
            said.append(f"The {_LABELS[name]} in the address, {shown(params[name])}, is not used: {why}.")
    return said


def _objection(name: str, text: str, countries: Iterable[str]) -> str:
    if name == RANGE:
        try:
            length(text)
        except ValueError as error:
            return str(error)
        return ""
    known: Sequence[str] = {COUNTRY: tuple(countries), EVENT_TYPE: EVENT_TYPES, DEVICE: DEVICES}[name]
    if text == ALL or text in known or (name == COUNTRY and is_plain(text)):
        return ""
    return "it is no plain name" if name == COUNTRY else f"there are {', '.join(known)}"


def is_plain(text: str) -> bool:
    """Whether a text could be the name of a country that nobody has seen yet: short, printable, of letters and little else."""
    return 0 < len(text) <= LONGEST_TEXT and all(character.isalpha() or character in _OF_NAMES for character in text)


def shown(text: str) -> str:
    """A text of the URL for a message: short, on one line, and no mark-up."""
    plain = "".join(character if character.isprintable() else "�" for character in text)
    return "“" + (plain if len(plain) <= LONGEST_TEXT else plain[: LONGEST_TEXT - 1] + "…") + "”"


def range_options(text: str | None) -> list[str]:
    """The ranges to choose from; with the URL's own, when it is one."""
    if text is None or text in RANGES:
        return list(RANGES)
    try:
        length(text)
    except ValueError:
        return list(RANGES)
    return sorted([*RANGES, text], key=length)


def country_options(text: str | None, known: Iterable[str]) -> list[str]:
    """All, then the countries that the data knows; with the URL's own, when it could be one."""
    names = set(known)
    if text is not None and text != ALL and is_plain(text):
        names.add(text)
    return [ALL, *sorted(names)]
