"""What is shown, as a file: CSV or Parquet, whose name says what it is, how it was filtered, and of what moment. Pure."""

import io
from datetime import UTC, datetime

import pandas as pd

from monitoring.filters import Filter

#: A cell that begins so is a formula to a spreadsheet.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def file_name(what: str, choice: Filter, now: datetime | None = None) -> str:
    """Without its ending: loglake_events-by-type_15m_germany_20260304T123000Z."""
    moment = now or datetime.now(UTC)
    return f"loglake_{what}_{choice.slug}_{moment:%Y%m%dT%H%M%SZ}"


def csv(frame: pd.DataFrame) -> bytes:
    """UTF-8 with a header. Text that a spreadsheet would take for a formula begins with an apostrophe."""
    safe = frame.copy()
    for name in safe.columns:
        if safe[name].dtype == object:
            safe[name] = safe[name].map(lambda value: f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value)
    return safe.to_csv(index=False).encode()


def parquet(frame: pd.DataFrame) -> bytes:
    """With the columns' own types; times in microseconds, which every reader knows."""
    held = io.BytesIO()
    frame.to_parquet(held, index=False, coerce_timestamps="us", allow_truncated_timestamps=True)
    return held.getvalue()
