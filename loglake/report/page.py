"""The report as one HTML file that fetches nothing: Plotly, style and data are in it, and its own policy forbids the browser to reach out.

Jinja escapes what comes from the data. Should anything slip through all the same, it does not run: the policy names the page's own
scripts by their hashes.
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from plotly.offline import get_plotlyjs

from loglake.bi.measures import MEASURES, Measure
from loglake.report import text
from loglake.report.figures import Figure, figure, unit
from loglake.report.read import Report, Result
from loglake.report.text import label, member, shown

_FOLDER = Path(__file__).parent
#: Columns from which a table, or a matrix with its narrow cells, takes the whole width.
_WIDE_TABLE, _WIDE_MATRIX = 7, 9


@dataclass(frozen=True)
class Table:
    """`head`: the headings, of which the first `keys` are of columns by which the rest is told. `shades`: 0 to 1 per number, if any."""

    head: tuple[str, ...]
    keys: int
    rows: tuple[tuple[str, ...], ...]
    shades: tuple[tuple[float, ...], ...] = ()


@dataclass(frozen=True)
class Card:
    title: str
    value: str
    unit: str
    description: str


@dataclass(frozen=True)
class Block:
    """A visual as the template draws it: rows of cards, or a chart with its table, or a table.

    `note`: the one currency of its amounts, and what is left out.
    """

    name: str
    title: str
    note: str
    cards: tuple[tuple[Card, ...], ...] = ()
    figure: Figure | None = None
    table: Table | None = None
    wide: bool = False


def render(report: Report) -> str:
    """The report as HTML."""
    scripts = (get_plotlyjs(), (_FOLDER / "page.js").read_text())
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            report=report,
            pages=[(page, laid_out([block(result) for result in results])) for page, results in report.pages],
            days=_days(report),
            style=(_FOLDER / "page.css").read_text(),
            scripts=scripts,
            hashes=[_hash(script) for script in scripts],
        )
    )


def block(result: Result) -> Block:
    """What the template needs to draw a visual."""
    visual = result.visual
    rows = [row for row in result.rows if any(value is not None for value in row[len(visual.by) :])]
    name, title, note = visual.name, visual.title, _note(result)
    if visual.kind == "card":
        return Block(name, title, note, cards=cards(result))
    if not rows:
        return Block(name, title, note)
    if visual.kind in ("line", "bar", "funnel"):
        drawn = figure(result)
        return Block(name, title, ", ".join(filter(None, (note, drawn.note))), figure=drawn, table=table(result))
    held, most = (matrix(result), _WIDE_MATRIX) if visual.kind == "matrix" else (table(result), _WIDE_TABLE)
    return Block(name, title, note, table=held, wide=len(held.head) >= most)


def laid_out(blocks: Sequence[Block]) -> list[Block]:
    """The blocks, two beside each other; one that would stand beside a gap becomes wide."""
    found: list[Block] = []
    left = False
    for one in blocks:
        if one.wide and left:
            found[-1] = replace(found[-1], wide=True)
        if not one.cards:
            left = not (one.wide or left)
        found.append(one)
    if left:
        found[-1] = replace(found[-1], wide=True)
    return found


def cards(result: Result) -> tuple[tuple[Card, ...], ...]:
    """A row of cards, one per measure, for each member of `by` if there is one."""
    visual, several = result.visual, len(result.rows) > 1
    found = []
    for row in result.rows:
        group = unit(visual, row[0]) if visual.by else ""
        values = zip(_measures(result), row[len(visual.by) :], strict=True)
        found.append(
            tuple(
                Card(
                    f"{measure.name}, {member(row[0])}" if several else measure.name,
                    shown(value, measure.format),
                    group if measure.is_money else "",
                    measure.description,
                )
                for measure, value in values
            )
        )
    return tuple(found)


def table(result: Result) -> Table:
    """The rows as they came."""
    keys, measures = len(result.visual.by), _measures(result)
    head = (*map(label, result.visual.by), *(measure.name for measure in measures))
    rows = tuple((*map(member, row[:keys]), *_texts(row[keys:], measures)) for row in result.rows)
    return Table(head, keys, rows)


def matrix(result: Result) -> Table:
    """The first of `by` down, the second across, the one measure in the cells, shaded by its value."""
    measure = _measures(result)[0]
    across = sorted({row[1] for row in result.rows})
    held = {(row[0], row[1]): row[2] for row in result.rows}
    down = list(dict.fromkeys(row[0] for row in result.rows))
    values = [[held.get((one, other)) for other in across] for one in down]
    greatest = max(value for line in values for value in line if value is not None) or 1
    head = (label(result.visual.by[0]), *(f"+{other}" if isinstance(other, int) else member(other) for other in across))
    rows = tuple(
        (member(one), *("" if v is None else shown(v, measure.format) for v in line)) for one, line in zip(down, values, strict=True)
    )
    return Table(head, 1, rows, tuple(tuple(float((value or 0) / greatest) for value in line) for line in values))


def _measures(result: Result) -> list[Measure]:
    return [MEASURES[name] for name in result.visual.measures]


def _texts(values: Sequence[Any], measures: Sequence[Measure]) -> list[str]:
    return [shown(value, measure.format) for value, measure in zip(values, measures, strict=True)]


def _note(result: Result) -> str:
    """`in EUR` where a chart's amounts are all in one currency, which no legend names."""
    visual = result.visual
    units = {unit(visual, row[-1 - len(visual.measures)]) for row in result.rows if visual.by}
    return f"in {units.pop()}" if len(units) == 1 and visual.kind in ("line", "bar") and all(units) else ""


def _days(report: Report) -> str:
    """The days that the page is about: as asked, else from the first event's to the last one's."""
    held = report.freshness
    if report.part.since or report.part.until or held is None:
        return text.span(report.part.since, report.part.until)
    return text.span(held.first.date(), held.last.date())


def _hash(script: str) -> str:
    """A script's hash, as a Content-Security-Policy names it."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(moment=text.moment, day=text.day)
    return environment
