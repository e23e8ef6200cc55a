"""Numbers, sizes and times as people read them. Pure."""

from datetime import datetime

_COMPACT_FROM = 1_000_000
_SIZES = ("B", "KiB", "MiB", "GiB", "TiB")
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
NOTHING = "—"
SAME = "no change"


def number(value: float | None, places: int = 0) -> str:
    """1,234 or 1.23 M; a dash where there is none."""
    if value is None or value != value:  # NaN is not itself  # noqa: PLR0124
        return NOTHING
    if abs(value) >= _COMPACT_FROM:
        return f"{value / _COMPACT_FROM:,.2f} M"
    return f"{value:,.{places}f}"


def money(value: float | None, currency: str) -> str:
    """1,234.50 EUR; large amounts without their cents."""
    if value is None or value != value:  # noqa: PLR0124
        return NOTHING
    return f"{number(value, 2 if abs(value) < 10_000 else 0)} {currency}".rstrip()


def percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %" if whole else NOTHING


def size(count: float | None) -> str:
    """Bytes in the largest unit that leaves a digit before the point."""
    if count is None:
        return NOTHING
    for unit in _SIZES[:-1]:
        if abs(count) < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} {_SIZES[-1]}"


def span(seconds: float | None) -> str:
    """A length of time in one or two units: 850 ms, 12 s, 5 min 20 s, 3 h, 2 d 4 h."""
    if seconds is None or seconds != seconds:  # noqa: PLR0124
        return NOTHING
    seconds = max(seconds, 0)
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    for unit, name, lower, lower_name in ((_DAY, "d", _HOUR, "h"), (_HOUR, "h", _MINUTE, "min"), (_MINUTE, "min", 1, "s")):
        if seconds >= unit:
            rest = int(seconds % unit // lower)
            return f"{int(seconds // unit)} {name}" + (f" {rest} {lower_name}" if rest else "")
    return f"{seconds:.0f} s"


def ago(moment: datetime | None, now: datetime) -> str:
    """In the largest unit alone: 12 s ago, 5 min ago."""
    if moment is None:
        return NOTHING
    seconds = max((now - moment).total_seconds(), 0)
    unit, name = next(((unit, name) for unit, name in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")) if seconds >= unit), (1, "s"))
    return f"{int(seconds // unit)} {name} ago"


def moment(when: datetime | None) -> str:
    return NOTHING if when is None else f"{when:%Y-%m-%d %H:%M:%S}"


def change(now: float | None, before: float | None) -> str | None:
    """The change against the value before, in percent with its sign; None where there is nothing to compare with."""
    if now is None or before is None:
        return None
    if not before:
        return "from 0" if now else SAME
    return signed(100 * (now - before) / before, "%")


def signed(value: float, unit: str) -> str:
    """With one decimal and its sign; SAME where that is nothing."""
    return f"{value:+.1f} {unit}" if round(value, 1) else SAME
