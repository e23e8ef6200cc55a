"""A visual's rows as a Plotly figure: plain data and layout, drawn by page.js.

Colours are names of CSS variables (page.css). Text that comes from the data is escaped, as Plotly reads tags in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from html import escape
from typing import Any

from loglake.bi.measures import MEASURES, MONEY, SHARE, WHOLE, Format
from loglake.bi.pages import CURRENCY, Visual
from loglake.report.read import Result
from loglake.report.text import member, shown

COLOURS = ("--accent", "--second", "--third", "--fourth", "--fifth", "--sixth")
Spec = dict[str, Any]
#: Points up to which a line marks each of them, and an axis of days names each.
_FEW_POINTS = 14
_LONGEST_LABEL = 30
_LARGE_AMOUNT = 1000
#: Lying bars of a chart; the others are in its table only.
_MOST_BARS = 20
#: Counts up to this have a tick for each whole number, and none between.
_FEW_TICKS = 5
#: How far the axis of lying bars goes beyond the longest, whose figure stands behind it.
_ROOM = 1.2


@dataclass(frozen=True)
class Figure:
    """Plotly's data and layout, the height in pixels below which the chart could not be read, and what it leaves out, if anything."""

    data: list[Spec]
    layout: Spec
    height: int = 300
    note: str = ""


@dataclass(frozen=True)
class Series:
    """One colour of a chart: its name, how its values are shown, and a value for each member of the axis, None where there is none."""

    name: str
    format: Format
    unit: str
    values: tuple[Any, ...]

    def shown(self) -> list[str]:
        return ["" if value is None else shown(value, self.format, self.unit) for value in self.values]

    def short(self) -> list[str]:
        """For the end of a bar: large amounts without their cents, no unit."""
        large = self.format is MONEY and max(value or 0 for value in self.values) >= _LARGE_AMOUNT
        return ["" if value is None else shown(value, WHOLE if large else self.format) for value in self.values]


def figure(result: Result) -> Figure:
    """The figure of a line, bar or funnel that has rows."""
    visual = result.visual
    if visual.kind == "funnel":
        return _funnel(result)
    days = list(dict.fromkeys(row[0] for row in result.rows if isinstance(row[0], date)))
    if visual.kind == "line" or days:
        found = series(result, days)
        drawn = _lines(days, found) if visual.kind == "line" else _columns(days, found)
    else:
        ranked = _ranked(result)
        members = ranked[:_MOST_BARS]
        found = series(result, members)
        drawn = _bars(members, found)
        if len(ranked) > len(members):
            drawn = replace(drawn, note=f"the first {len(members)} of {len(ranked):,}")
    return replace(drawn, layout={**_layout(found), **drawn.layout})


def series(result: Result, members: Sequence[Any]) -> list[Series]:
    """One per member of the second `by`; one per measure where there is only one `by`."""
    visual = result.visual
    if len(visual.by) == 1:
        values = {row[0]: row[1:] for row in result.rows}
        return [
            Series(name, MEASURES[name].format, "", tuple(values[member][place] for member in members))
            for place, name in enumerate(visual.measures)
        ]
    measure = MEASURES[visual.measures[0]]
    groups = sorted({row[1] for row in result.rows}, key=lambda group: (group is None, group))
    held = {(row[0], row[1]): row[2] for row in result.rows}
    return [
        Series(member(group), measure.format, unit(visual, group), tuple(held.get((one, group)) for one in members)) for group in groups
    ]


def unit(visual: Visual, group: Any) -> str:
    """The currency of an amount whose series is a currency."""
    return str(group) if CURRENCY in visual.by and group is not None else ""


def _lines(days: list[date], found: list[Series]) -> Figure:
    few = len(days) <= _FEW_POINTS
    traces = [
        {
            "type": "scatter",
            "mode": "lines+markers" if few else "lines",
            "name": _safe(one.name),
            "x": [day.isoformat() for day in days],
            "y": _numbers(one),
            "line": {"color": colour, "width": 2.2},
            "marker": {"color": colour, "size": 7},
            **({"fill": "tozeroy", "fillcolor": "--area"} if len(found) == 1 else {}),
            "hovertext": [f"{_safe(one.name)}: {text}" for text in one.shown()],
            "hoverinfo": "x+text",
        }
        for one, colour in zip(found, _colours(found), strict=True)
    ]
    axis: Spec = {"type": "date", "hoverformat": "%a %-d %b %Y", "tickformat": "%-d %b\n%Y"}
    if few:
        axis["tickvals"] = [day.isoformat() for day in days]
    return Figure(traces, {"hovermode": "x unified", "xaxis": {**_AXIS, **axis}, "yaxis": _value_axis(found)})


def _columns(days: list[date], found: list[Series]) -> Figure:
    """Upright bars, one group per day or week."""
    traces = [
        {**_bar(days, one, colour), "x": list(range(len(days))), "y": _numbers(one)}
        for one, colour in zip(found, _colours(found), strict=True)
    ]
    step = -(-len(days) // _FEW_POINTS)
    named = days[::step]
    years = [f"{day:%Y}" if day.year != before else "" for day, before in zip(named, [0, *(day.year for day in named)], strict=False)]
    texts = [f"{day:%-d %b}<br>{year}" for day, year in zip(named, years, strict=True)]
    axis = {"tickvals": list(range(0, len(days), step)), "ticktext": texts}
    return Figure(traces, {"xaxis": {**_AXIS, **axis}, "yaxis": _value_axis(found)})


def _bars(members: list[Any], found: list[Series]) -> Figure:
    """Lying bars, the first on top. Places on the axis are numbers: two names that look alike, or like numbers, stay apart."""
    places = list(range(len(members)))
    greatest = max((value for one in found for value in _numbers(one) if value is not None), default=0)
    traces = [
        {**_bar(members, one, colour), "orientation": "h", "x": _numbers(one), "y": places}
        for one, colour in zip(found, _colours(found), strict=True)
    ]
    names = {"tickvals": places, "ticktext": [_safe(_short(member(one))) for one in members], "autorange": "reversed"}
    values = {"visible": False, "fixedrange": True, "range": [0, greatest * _ROOM or 1]}
    height = max(180, 56 + len(members) * (16 + 18 * len(found)))
    return Figure(traces, {"xaxis": values, "yaxis": {**_AXIS, **names}}, height)


def _funnel(result: Result) -> Figure:
    """Each step's count, and its share of the first step."""
    steps, row = result.visual.measures, result.rows[0]
    counts = [value or 0 for value in row]
    shares = [count / counts[0] if counts[0] else 0 for count in counts]
    trace = {
        "type": "funnel",
        "y": list(steps),
        "x": [float(count) for count in counts],
        "text": [f"{shown(count, WHOLE)}  ·  {shown(share, SHARE)}" for count, share in zip(counts, shares, strict=True)],
        "textinfo": "text",
        "textposition": "auto",
        "hoverinfo": "y+text",
        "marker": {"color": COLOURS[0]},
        "connector": {"fillcolor": "--grid", "line": {"width": 0}},
    }
    return Figure([trace], {**_layout([]), "yaxis": _AXIS})


def _bar(members: Sequence[Any], one: Series, colour: str) -> Spec:
    texts = one.shown()
    return {
        "type": "bar",
        "name": _safe(one.name),
        "marker": {"color": colour},
        "text": one.short(),
        "textposition": "outside",
        "textfont": {"color": "--soft"},
        "cliponaxis": False,
        "hovertext": [f"{_safe(member(name))}<br>{_safe(one.name)}: {text}" for name, text in zip(members, texts, strict=True)],
        "hoverinfo": "text",
    }


_AXIS: Spec = {
    "automargin": True,
    "showgrid": False,
    "zeroline": False,
    "gridcolor": "--grid",
    "linecolor": "--line",
    "ticks": "",
    "ticklabelstandoff": 4,
    "fixedrange": True,
}


def _value_axis(found: list[Series]) -> Spec:
    axis = {**_AXIS, "showgrid": True, "rangemode": "tozero", "separatethousands": True, "exponentformat": "none"}
    if found[0].format is SHARE:
        axis["tickformat"] = ".0%"
    if found[0].format is WHOLE and max(value or 0 for one in found for value in one.values) <= _FEW_TICKS:
        axis["dtick"] = 1
    return axis


def _layout(found: list[Series]) -> Spec:
    return {
        "margin": {"l": 8, "r": 24, "t": 12 if len(found) < 2 else 36, "b": 8},
        "paper_bgcolor": "--none",
        "plot_bgcolor": "--none",
        "font": {"color": "--soft", "size": 12.5},
        "hoverlabel": {"bgcolor": "--card", "bordercolor": "--line", "font": {"color": "--ink"}},
        "showlegend": len(found) > 1,
        "legend": {"orientation": "h", "x": 0, "y": 1, "xanchor": "left", "yanchor": "bottom", "traceorder": "normal"},
        "bargap": 0.32,
        "bargroupgap": 0.08,
        "dragmode": False,
    }


def _ranked(result: Result) -> list[Any]:
    """The members of the axis as the rows come; by their values, the greatest first, where there is only one series."""
    rows = result.rows
    if len({row[1:-1] for row in rows}) == 1 == len(result.visual.measures):
        rows = tuple(sorted(rows, key=lambda row: row[-1] or 0, reverse=True))
    return list(dict.fromkeys(row[0] for row in rows))


def _colours(found: list[Series]) -> list[str]:
    return [COLOURS[place % len(COLOURS)] for place in range(len(found))]


def _numbers(one: Series) -> list[float | None]:
    return [None if value is None else float(value) for value in one.values]


def _safe(text: str) -> str:
    return escape(text, quote=False)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_LABEL else text[: _LONGEST_LABEL - 1].rstrip() + "…"
