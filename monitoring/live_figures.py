"""What the Live page makes of the live tables' rows. Pure but for the clock's age that Postgres gave."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from monitoring import text
from monitoring.filters import Filter
from monitoring.parts import Figure
from monitoring.queries import Query, live

#: The live stream says every ten seconds that it is there; silent for longer than this, it is taken for down.
STALE_SECONDS = 30.0
_PERCENTILES = {"latency_p50_ms": "p50", "latency_p95_ms": "p95", "latency_p99_ms": "p99"}
_COUNTED = {
    "events": ("Events / min", "Distinct events"),
    "users": ("Users", "Distinct users"),
    "sessions": ("Sessions", "Distinct sessions"),
    "orders": ("Orders", "Completed orders"),
    "errors": ("Errors", "Errors and answers of 500 and above"),
}


@dataclass(frozen=True)
class Freshness:
    """How old the live view is, in a word, an icon and a colour."""

    word: str
    colour: str
    icon: str
    detail: str


def freshness(state: pd.DataFrame) -> Freshness:
    """By the stream's own state and heartbeat: stale when it is silent, quiet when it runs and nothing comes."""
    if state.empty:
        return Freshness("not started", "gray", "hourglass_empty", "the live stream has not reported yet: `loglake logs live-stream`")
    row = state.iloc[0]
    age, silent = float(row["age_seconds"]), row["silent_seconds"]
    newest = f"newest event {text.moment(row['max_event_time'])}" if pd.notna(row["max_event_time"]) else "no event yet"
    if pd.isna(silent) or silent > STALE_SECONDS:
        since = text.span(age if pd.isna(silent) else float(silent))
        return Freshness(f"stale for {since}", "orange", "history", f"the live stream is silent: `loglake logs live-stream`; {newest}")
    if age > STALE_SECONDS:
        return Freshness("quiet", "blue", "bedtime", f"the live stream runs, and nothing has come for {text.span(age)}; {newest}")
    batch = f"last batch {int(row['batch_rows']):,} records in {text.span(row['batch_ms'] / 1000)}"
    return Freshness("live", "green", "sensors", f"updated {text.span(age)} ago, {newest}, {batch}")


def figures(minutes: pd.DataFrame, revenue: pd.DataFrame) -> list[Figure]:
    """Of the newest whole minute against the one before it; the lines are of the last 15 minutes."""
    row = []
    for name, (label, what) in _COUNTED.items():
        last, before, line = _last_two(minutes, name)
        about = f"{what} in the last whole minute, against the minute before"
        row.append(Figure(label, text.number(last), text.change(last, before), line, about, less_is_better=name == "errors"))
    row.insert(4, _revenue(minutes, revenue))
    return row


def _last_two(frame: pd.DataFrame, name: str) -> tuple[float, float | None, list[float]]:
    """The newest window's value, that of the window that ended when it began, and the line."""
    values = frame.set_index("window_start")[name].astype(float)
    before = values.get(values.index[-1] - pd.Timedelta(minutes=1))
    return float(values.iloc[-1]), before, values.tolist()


def _revenue(minutes: pd.DataFrame, revenue: pd.DataFrame) -> Figure:
    """Of the currency in which most orders were: amounts of different currencies have no sum."""
    if revenue.empty:
        return Figure("Revenue", text.NOTHING, help="No order in the last 15 minutes")
    currency = str(revenue.groupby("currency")["orders"].sum().idxmax())
    paid = revenue[revenue["currency"] == currency].set_index("window_start")["revenue"]
    frame = pd.DataFrame({"window_start": minutes["window_start"], "revenue": minutes["window_start"].map(paid).fillna(0.0)})
    last, before, line = _last_two(frame, "revenue")
    others = revenue["currency"].nunique() - 1
    more = f"; {others} other currencies are in the table below" if others else ""
    return Figure(
        f"Revenue {currency}", text.money(last, ""), text.change(last, before), line, help=f"Completed orders in {currency}{more}"
    )


def series_of(choice: Filter) -> tuple[Query, dict[str, Any]]:
    """The query of events over time by the first filter that is chosen."""
    for dimension, only in (("event_type", choice.event_type), ("country", choice.country), ("device", choice.device)):
        if only is not None:
            return live.SELECTED, {"dimension": dimension, "only": only}
    return live.TOTALS, {}


def per_second(frame: pd.DataFrame, key: str | None = None) -> pd.DataFrame:
    """`window_start`, the key's column if there is one, and `rate`: a window's events by its width.

    A window in which nothing came has no row; here it has one, as a line from its neighbour to its neighbour would tell of events.
    """
    width = int(frame["width_seconds"].iloc[0])
    every = pd.date_range(frame["window_start"].min(), frame["window_start"].max(), freq=f"{width}s", name="window_start")
    named = frame if key else frame.assign(all="")
    wide = named.pivot(index="window_start", columns=key or "all", values="events").reindex(every).astype(float).fillna(0.0)
    rates = (wide / width).melt(ignore_index=False, value_name="rate").reset_index()
    return rates if key else rates.drop(columns="all")


def late(frame: pd.DataFrame) -> pd.DataFrame:
    """A row per minute, a quarter of an hour at least, also for those in which nothing came too late."""
    last = frame["minute"].max()
    first = min(frame["minute"].min(), last - pd.Timedelta(minutes=14))
    every = pd.date_range(first, last, freq="min", name="minute")
    return frame.set_index("minute").reindex(every, fill_value=0).reset_index()


def latencies(frame: pd.DataFrame) -> pd.DataFrame:
    """A row per window and percentile, where there is one."""
    wide = frame[["window_start", *_PERCENTILES]].rename(columns=_PERCENTILES)
    return wide.melt("window_start", var_name="percentile", value_name="ms").dropna()


def sentence(frame: pd.DataFrame, unit: str) -> str:
    """For those who do not see the chart."""
    values = frame["rate"]
    return f"Line of {len(values)} windows: last {values.iloc[-1]:,.1f} {unit}, least {values.min():,.1f}, most {values.max():,.1f}"
