"""The tables of the analyst's model, from dbt's manifest, and how they are related."""

from dataclasses import dataclass
from typing import Any

from loglake.bi.measures import MEASURES
from loglake.bi.pages import PAGES
from loglake.bi.query import CALENDAR, DAYS, KEYS, columns_of

SCHEMA = "marts"
#: Facts and dimensions. The other views sum facts up for SQL and spreadsheets: a BI tool does so itself, for any filter.
_STAR = ("dim_", "fact_", "fct_")


@dataclass(frozen=True)
class Column:
    """`data_type`: Postgres's name of the type, as the mart's contract has it."""

    name: str
    data_type: str
    description: str

    @property
    def base_type(self) -> str:
        return self.data_type.partition("(")[0]

    @property
    def is_hidden(self) -> bool:
        """Keys and technical columns are for joins and for the pipeline, not for a report."""
        return self.name.endswith(("_sk", "_key")) or "(technical)" in self.description


@dataclass(frozen=True)
class Table:
    name: str
    description: str
    columns: tuple[Column, ...]

    def has(self, column: str) -> bool:
        return any(known.name == column for known in self.columns)


@dataclass(frozen=True)
class Relationship:
    """Many rows of `table` to one of `to_table`."""

    table: str
    column: str
    to_table: str
    to_column: str


def used_columns() -> set[tuple[str, str]]:
    """The (table, column) pairs that the report's measures and pages name."""
    named = {pair for measure in MEASURES.values() for pair in columns_of(measure.sql)}
    return named | {pair for page in PAGES for visual in page.visuals for by in visual.by for pair in columns_of(by)}


def read_tables(manifest: dict[str, Any]) -> dict[str, Table]:
    """The facts and dimensions of the marts, and what else the report uses, by name."""
    used = {table for table, _ in used_columns()}
    marts = [node for node in manifest["nodes"].values() if node["resource_type"] == "model" and node["schema"] == SCHEMA]
    return {
        node["name"]: Table(node["name"], _line(node["description"]), tuple(_column(column) for column in node["columns"].values()))
        for node in sorted(marts, key=lambda node: node["name"])
        if node["name"].startswith(_STAR) or node["name"] in used
    }


def relationships(tables: dict[str, Table]) -> tuple[Relationship, ...]:
    """Each table to the dimensions whose keys it holds, and to its day."""
    found = []
    for table in tables.values():
        found += [
            Relationship(table.name, key, dimension, key)
            for dimension, key in KEYS.items()
            if dimension != table.name and dimension in tables and table.has(key)
        ]
        if table.name in DAYS:
            found.append(Relationship(table.name, DAYS[table.name], CALENDAR, "calendar_date"))
    return tuple(found)


def _column(column: dict[str, Any]) -> Column:
    return Column(column["name"], column["data_type"], _line(column["description"]))


def _line(text: str) -> str:
    return " ".join(text.split())
