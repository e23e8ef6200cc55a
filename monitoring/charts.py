"""Charts as Altair draws them: pure functions of a frame. Text and grid take their colours from Streamlit's theme, light or dark.

Times are UTC. The colours are such as can be told from both grounds, and an event type has the same one everywhere.
"""

from collections.abc import Sequence

import altair as alt
import pandas as pd

from monitoring.filters import EVENT_TYPES

ACCENT, WARM, CALM, RED, GREY = "#3b82c4", "#d9822b", "#2f9e8f", "#c8505f", "#7f8b97"
PALETTE = (ACCENT, WARM, CALM, "#8f6bc0", RED, "#b08a2e", "#4fa3d8", "#5f9a45", "#cf6aa6", "#6d7fd0", "#a06a4b", "#3aa6a6", "#94a34a", GREY)
OTHER = "other"
#: Of a chart with an axis of time, and of what stands beside one.
HEIGHT = 280
#: Lying bars: how high each is, and how many characters of a name are shown.
_BAR, _LABEL = 26, 190
_TIME = "%H:%M:%S"
#: Two ticks of one day, or one minute, would have the same label.
_MINUTE_MS, _DAY_MS = 60_000, 86_400_000


def ink(theme: str | None) -> str:
    """The colour of text upon a filled shape, by Streamlit's name of the theme."""
    return "#e6eaf0" if theme == "dark" else "#1c2530"


def _when(name: str, *, days: bool) -> alt.X:
    return alt.X(f"{name}:T", scale=alt.Scale(type="utc"), axis=_times(days=days))


def _times(*, days: bool) -> alt.Axis:
    return alt.Axis(
        title=None, grid=False, labelOverlap="greedy", labelSeparation=10, labelFlush=False,
        tickCount=6, tickMinStep=_DAY_MS if days else _MINUTE_MS, format="%-d %b" if days else "%H:%M",
    )  # fmt: skip


def _value(name: str, **changes: object) -> alt.Y:
    # Vega writes 0k below 1k.
    zero = "datum.value == 0 ? '0' : datum.label"
    axis = alt.Axis(title=None, format="~s", tickCount=4, domain=False, ticks=False, labelExpr=zero)
    return alt.Y(f"{name}:Q", axis=axis, **changes)  # type: ignore[arg-type]


def _legend(symbol: str = "square") -> alt.Legend:
    return alt.Legend(
        title=None, orient="bottom", columns=3, symbolType=symbol, offset=6, columnPadding=8, labelFontSize=11, labelLimit=_LABEL
    )


def colours(keys: Sequence[str]) -> alt.Scale:
    """A colour for each key: event types have their own, `other` is grey."""
    known = {name: PALETTE[place] for place, name in enumerate(EVENT_TYPES)}
    spare = iter(PALETTE * 4)
    return alt.Scale(domain=list(keys), range=[GREY if key == OTHER else known.get(key) or next(spare) for key in keys])


def area(frame: pd.DataFrame, x: str, y: str, *, title: str, colour: str = ACCENT, days: bool = False) -> alt.LayerChart:
    base = alt.Chart(frame).encode(x=_when(x, days=days), y=_value(y))
    tips = [alt.Tooltip(f"{x}:T", title="UTC", format="%-d %b %Y" if days else _TIME), alt.Tooltip(f"{y}:Q", title=title, format=",.4~f")]
    drawn = base.mark_area(color=colour, opacity=0.18, line={"color": colour, "strokeWidth": 2}, interpolate="monotone")
    # A value without another one beside it makes no area: it is shown as a point, which otherwise is there for the pointer alone.
    shown = 1 if frame[y].count() == 1 else 0
    points = base.mark_point(size=90, opacity=shown, filled=True, color=colour).encode(tooltip=tips)
    return (drawn + points).properties(height=HEIGHT)


def stacked(frame: pd.DataFrame, x: str, y: str, key: str, *, title: str) -> alt.Chart:
    """Areas upon each other, the greatest key at the bottom."""
    keys = _ranked(frame, key, y)
    order = {one: place for place, one in enumerate(keys)}
    drawn = frame.assign(rank=frame[key].map(order))
    chart = (
        alt.Chart(drawn)
        .mark_area(opacity=0.85, interpolate="monotone")
        .encode(
            x=_when(x, days=False),
            y=_value(y, stack="zero"),
            color=alt.Color(f"{key}:N", scale=colours(keys), legend=_legend()),
            order=alt.Order("rank:Q"),
            tooltip=[alt.Tooltip(f"{x}:T", title="UTC", format=_TIME), alt.Tooltip(f"{key}:N", title=""),
                     alt.Tooltip(f"{y}:Q", title=title, format=",.4~f")],
        )
    )  # fmt: skip
    return chart.properties(height=HEIGHT + 40)


def lines(frame: pd.DataFrame, x: str, y: str, key: str, *, title: str, days: bool = False) -> alt.Chart:
    keys = list(dict.fromkeys(frame[key]))
    form = "%-d %b %Y" if days else _TIME
    chart = (
        alt.Chart(frame)
        .mark_line(strokeWidth=2, interpolate="monotone", point=alt.OverlayMarkDef(size=36) if frame[x].nunique() <= 31 else False)
        .encode(
            x=_when(x, days=days),
            y=_value(y),
            color=alt.Color(f"{key}:N", scale=colours(keys), legend=_legend("stroke")),
            tooltip=[alt.Tooltip(f"{x}:T", title="UTC", format=form), alt.Tooltip(f"{key}:N", title=""),
                     alt.Tooltip(f"{y}:Q", title=title, format=",.4~f")],
        )
    )  # fmt: skip
    return chart.properties(height=HEIGHT)


def columns(frame: pd.DataFrame, x: str, y: str, *, title: str, key: str | None = None, days: bool = True) -> alt.Chart:
    """Upright bars, one per day or window; with `key` upon each other."""
    form = "%-d %b %Y" if days else _TIME
    tips = [alt.Tooltip(f"{x}:T", title="UTC", format=form), alt.Tooltip(f"{y}:Q", title=title, format=",.4~f")]
    chart = alt.Chart(frame).mark_bar(color=ACCENT, cornerRadiusTopLeft=2, cornerRadiusTopRight=2)
    encoded = chart.encode(
        x=alt.X(f"{'utcyearmonthdate' if days else 'utcyearmonthdatehoursminutes'}({x}):T", scale=alt.Scale(type="utc"),
                axis=_times(days=days)),
        y=_value(y), tooltip=tips,
    )  # fmt: skip
    if key:
        keys = _ranked(frame, key, y)
        legend = _legend()
        encoded = encoded.encode(
            color=alt.Color(f"{key}:N", scale=colours(keys), legend=legend), tooltip=[alt.Tooltip(f"{key}:N", title=""), *tips]
        )
    return encoded.properties(height=HEIGHT)


def bars(frame: pd.DataFrame, label: str, value: str, *, title: str, form: str = ",.4~f") -> alt.LayerChart:
    """Lying bars in the order of the rows, each with its figure behind it."""
    keys = list(frame[label])
    top = float(frame[value].max()) if len(frame) else 1.0
    base = alt.Chart(frame).encode(
        y=alt.Y(f"{label}:N", sort=keys, axis=alt.Axis(title=None, labelLimit=_LABEL, domain=False, ticks=False, labelPadding=8)),
        x=alt.X(f"{value}:Q", axis=None, scale=alt.Scale(domain=[0, top * 1.22 or 1])),
        tooltip=[alt.Tooltip(f"{label}:N", title=""), alt.Tooltip(f"{value}:Q", title=title, format=form)],
    )
    bar = base.mark_bar(cornerRadiusEnd=3, height={"band": 0.62}, color=ACCENT)
    figures = base.mark_text(align="left", dx=6, color=GREY).encode(text=alt.Text(f"{value}:Q", format=form))
    return (bar + figures).properties(height=max(120, _BAR * len(frame) + 16))


def funnel(frame: pd.DataFrame, ink: str) -> alt.LayerChart:
    """Steps (`step`, `sessions`, `shown`) as centred bars that grow narrower."""
    most = float(frame["sessions"].max() or 1)
    drawn = frame.assign(left=(most - frame["sessions"]) / 2, right=(most + frame["sessions"]) / 2, middle=most / 2)
    steps = list(frame["step"])
    base = alt.Chart(drawn).encode(
        y=alt.Y("step:N", sort=steps, axis=alt.Axis(title=None, domain=False, ticks=False, labelLimit=_LABEL, labelPadding=8)),
        tooltip=[
            alt.Tooltip("step:N", title=""),
            alt.Tooltip("sessions:Q", title="sessions", format=","),
            alt.Tooltip("shown:N", title="share"),
        ],
    )
    axis = alt.X("left:Q", axis=None, scale=alt.Scale(domain=[0, most]))
    bar = base.mark_bar(cornerRadius=3, color=ACCENT, height={"band": 0.74}, opacity=0.35).encode(x=axis, x2="right:Q")
    figures = base.mark_text(fontWeight="bold", color=ink).encode(x=alt.X("middle:Q", axis=None), text="shown:N")
    return (bar + figures).properties(height=HEIGHT)


def heat(frame: pd.DataFrame, x: str, y: str, value: str, *, titles: tuple[str, str, str], ink: str) -> alt.LayerChart:
    """Shares as shaded cells with their figures."""
    across, down, what = titles
    base = alt.Chart(frame).encode(
        x=alt.X(f"{x}:O", axis=alt.Axis(title=across, labelAngle=0, orient="top", domain=False, ticks=False)),
        y=alt.Y(f"{y}:O", sort=list(dict.fromkeys(frame[y])), axis=alt.Axis(title=None, domain=False, ticks=False, labelLimit=_LABEL)),
        tooltip=[
            alt.Tooltip(f"{y}:O", title=down),
            alt.Tooltip(f"{x}:O", title=across),
            alt.Tooltip(f"{value}:Q", title=what, format=".1%"),
        ],
    )
    cells = base.mark_rect(cornerRadius=3, color=ACCENT, stroke=None).encode(
        opacity=alt.Opacity(f"{value}:Q", legend=None, scale=alt.Scale(domain=[0, 1], range=[0.06, 0.75]))
    )
    figures = base.mark_text(color=ink).encode(text=alt.Text(f"{value}:Q", format=".0%"))
    return (cells + figures).properties(height=34 * max(frame[y].nunique(), 2) + 50)


def _ranked(frame: pd.DataFrame, key: str, value: str) -> list[str]:
    """The keys, the greatest first, `other` last."""
    ranked = list(frame.groupby(key)[value].sum().sort_values(ascending=False).index)
    return [one for one in ranked if one != OTHER] + [one for one in ranked if one == OTHER]
