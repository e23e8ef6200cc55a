"""How values are written on the page."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from loglake.bi.measures import Format

_LABELS = {"geo_country": "Country", "device_type": "Device", "weeks_since": "Weeks since", "calendar_date": "Day"}
NO_VALUE = "\N{EN DASH}"


def shown(value: Decimal | float | None, how: Format, unit: str = "") -> str:
    """A measure's value with its unit behind it; a dash for none."""
    if value is None:
        return NO_VALUE
    return f"{value:{how.python}} {unit}".rstrip()


def member(value: Any) -> str:
    """A member of an axis or a column: a day as 4 Mar 2026."""
    if value is None:
        return "(not given)"
    return day(value) if isinstance(value, date) else str(value)


def label(by: str) -> str:
    """The heading of a column named table.column."""
    name = by.partition(".")[2]
    return _LABELS.get(name, name.replace("_", " ").capitalize())


def day(value: date) -> str:
    return f"{value:%-d %b %Y}"


def moment(value: datetime) -> str:
    """A UTC time to the minute."""
    return f"{value:%-d %b %Y, %H:%M} UTC"


def span(since: date | None, until: date | None) -> str:
    """The days from `since` to `until`, both included; empty when neither is given."""
    if since and until:
        return day(since) if since == until else f"{day(since)} to {day(until)}"
    return f"since {day(since)}" if since else f"until {day(until)}" if until else ""
