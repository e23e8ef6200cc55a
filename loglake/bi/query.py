"""The SQL that a visual stands for: what Power BI shows, as a query on the marts that any client can run.

Pure. Every name in it is a constant of `loglake.bi.pages`, `loglake.bi.measures` or this file.
"""

import re
from dataclasses import asdict, dataclass, replace
from datetime import date
from textwrap import indent
from typing import Any

from loglake.bi.measures import MEASURES, Measure, base_measures, replace_parts
from loglake.bi.pages import CURRENCY, Visual

CALENDAR = "dim_calendar"
#: The dimensions of the star and their keys. A table that has a column of a key's name belongs to that dimension.
KEYS = {
    "dim_users": "user_sk",
    "dim_product": "product_sk",
    "dim_date": "date_sk",
    "dim_location": "ip_key",
    "dim_user_agent": "user_agent_key",
}
#: Tables whose rows are of one day, and the column that says which. The others get their day through dim_date.
DAYS = {
    "dim_date": "calendar_date",
    "fct_user_day": "activity_date",
    "fct_product_day": "activity_date",
    "fct_daily_user_metrics": "activity_date",
    "conversion_funnel": "session_date",
    "weekly_retention": "cohort_week",
    "dim_holiday": "holiday_date",
}
_INDENT = " " * 4
_COLUMN = re.compile(r"\b([a-z]\w*)\.([a-z]\w*)\b")


@dataclass(frozen=True)
class Slice:
    """The part of the marts that is shown: from a day to a day (UTC, both included), in a currency; what is None sets no bound.

    Days concern facts, not what a dimension says of now (such as a product's stock); a currency concerns orders.
    """

    since: date | None = None
    until: date | None = None
    currency: str | None = None

    @property
    def parameters(self) -> dict[str, Any]:
        """What the query's placeholders stand for."""
        return {name: value for name, value in asdict(self).items() if value is not None}


_ALL = Slice()


def columns_of(sql: str) -> tuple[tuple[str, str], ...]:
    """The (table, column) pairs that an expression names."""
    return tuple(dict.fromkeys(_COLUMN.findall(sql)))


def query(visual: Visual, part: Slice = _ALL) -> str:
    """The SQL of a visual: one column per `by`, by its own name, then one per measure, by the measure's name.

    Like Power BI it leaves out rows in which no measure has a value. The bounds of `part` are psycopg's named placeholders.
    """
    if not visual.top:
        return _select(visual, part)
    first = _name(visual.by[0])
    leaders = _select(replace(visual, measures=(visual.order,), by=visual.by[:1]), part)
    condition = [
        "where exists (",
        "    select 1 from (",
        indent(f"{leaders}\nlimit {visual.top}", " " * 8),
        "    ) as leaders",
        f"    where leaders.{first} is not distinct from parts.{first}",
        ")",
    ]
    return _select(visual, part, "\n".join(condition))


def joins(table: str, wanted: set[str]) -> dict[str, tuple[str, str]]:
    """How `table` reaches the dimensions in `wanted`, in the order to join: dimension -> (the column it is joined to, its own key)."""
    day = table if table in DAYS else "dim_date"
    found: dict[str, tuple[str, str]] = {}
    for dimension in sorted((wanted | ({day} if CALENDAR in wanted else set())) - {table}):
        if dimension in KEYS:
            found[dimension] = (f"{table}.{KEYS[dimension]}", KEYS[dimension])
        elif dimension != CALENDAR:
            raise ValueError(f"{table} has no relationship to {dimension}")
    if CALENDAR in wanted:
        found[CALENDAR] = (f"{day}.{DAYS[day]}", "calendar_date")
    return found


def _name(by: str) -> str:
    return by.partition(".")[2]


def _value(name: str) -> str:
    """A measure in the outer query, where each measure over columns is the one row of its group that is not null."""
    measure = MEASURES[name]
    if not measure.parts:
        return f'max(parts."{name}")'
    return "(" + replace_parts(measure.sql, {part: _value(part) for part in measure.parts}) + ")"


def _select(visual: Visual, part: Slice, condition: str = "") -> str:
    bases = tuple(dict.fromkeys(base for name in (*visual.measures, visual.order) if name for base in base_measures(name)))
    facts = tuple(dict.fromkeys(base.table for base in bases))
    parts = "\nunion all\n".join(_part(fact, visual.by, bases, part) for fact in facts)
    groups = [f"parts.{_name(by)}" for by in visual.by]
    values = [f'{_value(name)}::{MEASURES[name].format.postgres} as "{name}"' for name in visual.measures]
    lines = ["select", _list(groups + values), "from (", indent(parts, _INDENT), ") as parts", condition]
    if groups:
        lines += [f"group by {', '.join(groups)}", f"having num_nonnulls({', '.join(map(_value, visual.measures))}) > 0"]
        lines += ["order by " + ", ".join([f"{_value(visual.order)} desc nulls last", *groups] if visual.order else groups)]
    return "\n".join(line for line in lines if line)


def _list(columns: list[str]) -> str:
    return indent(",\n".join(columns), _INDENT)


def _part(fact: str, by: tuple[str, ...], bases: tuple[Measure, ...], part: Slice) -> str:
    """One fact's measures per group, and null for the other facts' measures."""
    own = [base for base in bases if base.table == fact]
    wanted = {column.partition(".")[0] for column in by} | {table for base in own for table, _ in columns_of(base.sql)}
    bounds = _bounds(fact, part)
    wanted |= {table for table, _ in columns_of(" ".join(bounds))}
    columns = [f"{column} as {_name(column)}" for column in by]
    columns += [f'({base.sql if base in own else "null"})::{base.format.postgres} as "{base.name}"' for base in bases]
    lines = ["select", _list(columns), f"from marts.{fact}"]
    for dimension, (column, key) in joins(fact, wanted).items():
        lines.append(f"left join marts.{dimension} on {column} = {dimension}.{key}")
    if bounds:
        lines.append(f"where {' and '.join(bounds)}")
    if by:
        lines.append(f"group by {', '.join(by)}")
    return "\n".join(lines)


def _bounds(fact: str, part: Slice) -> list[str]:
    """The conditions that a slice puts on a fact's rows."""
    day = f"{fact}.{DAYS[fact]}" if fact in DAYS else f"dim_date.{DAYS['dim_date']}"
    found = []
    if fact not in KEYS:
        found += [f"{day} {sign} %({end})s" for end, sign in (("since", ">="), ("until", "<=")) if end in part.parameters]
    if f"{fact}.currency" == CURRENCY and part.currency is not None:
        found.append(f"{CURRENCY} = %(currency)s")
    return found
