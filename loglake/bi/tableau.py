"""A Tableau data source (.tds): the orders and their dimensions, joined, so that Tableau opens with the star in place."""

from collections.abc import Iterator
from xml.etree import ElementTree

from loglake.bi.model import SCHEMA, Column, Relationship, Table
from loglake.bi.tmdl import database, server

FACT = "fact_order"
#: Who logs in; the password is asked for.
ROLE = "bi_reader"
_CONNECTION = "postgres.loglake"
#: Postgres type -> Tableau's data type, and what a report does with it (role, type).
_TYPES = {
    "text": ("string", "dimension", "nominal"),
    "uuid": ("string", "dimension", "nominal"),
    "boolean": ("boolean", "dimension", "nominal"),
    "date": ("date", "dimension", "ordinal"),
    "timestamptz": ("datetime", "dimension", "ordinal"),
    "numeric": ("real", "measure", "quantitative"),
}
_WHOLE_NUMBER = ("integer", "dimension", "ordinal")
#: The numbers that add up.
_SUMS = ("quantity",)


def data_source(tables: dict[str, Table], relationships: tuple[Relationship, ...]) -> str:
    """The content of the file."""
    joined = list(_joined(relationships))
    root = ElementTree.Element("datasource", {"formatted-name": "loglake", "inline": "true", "version": "18.1"})
    connection = ElementTree.SubElement(root, "connection", {"class": "federated"})
    host, _, port = server().rpartition(":")
    named = ElementTree.SubElement(
        ElementTree.SubElement(connection, "named-connections"), "named-connection", caption=host, name=_CONNECTION
    )
    login = {"class": "postgres", "dbname": database(), "port": port, "server": host, "username": ROLE}
    ElementTree.SubElement(named, "connection", {**login, "authentication": "username-password", "sslmode": ""})
    relation = _table(FACT)
    for relationship in joined:
        relation = _join(relation, relationship)
    connection.append(relation)
    columns = ElementTree.SubElement(connection, "cols")
    for name, table, column in _names([tables[name] for name in (FACT, *(relationship.to_table for relationship in joined))]):
        ElementTree.SubElement(columns, "map", key=f"[{name}]", value=f"[{table.name}].[{column.name}]")
        root.append(_field(name, column))
    ElementTree.indent(root)
    return "<?xml version='1.0' encoding='utf-8' ?>\n" + ElementTree.tostring(root, encoding="unicode") + "\n"


def _joined(relationships: tuple[Relationship, ...]) -> Iterator[Relationship]:
    """The relationships that lead from the fact to its dimensions, and from these on, in the order to join."""
    reached = [FACT]
    for name in reached:
        for relationship in relationships:
            if relationship.table == name and relationship.to_table not in reached:
                reached.append(relationship.to_table)
                yield relationship


def _table(name: str) -> ElementTree.Element:
    return ElementTree.Element("relation", connection=_CONNECTION, name=name, table=f"[{SCHEMA}].[{name}]", type="table")


def _join(left: ElementTree.Element, relationship: Relationship) -> ElementTree.Element:
    relation = ElementTree.Element("relation", join="left", type="join")
    equal = ElementTree.SubElement(ElementTree.SubElement(relation, "clause", type="join"), "expression", op="=")
    ElementTree.SubElement(equal, "expression", op=f"[{relationship.table}].[{relationship.column}]")
    ElementTree.SubElement(equal, "expression", op=f"[{relationship.to_table}].[{relationship.to_column}]")
    relation.extend([left, _table(relationship.to_table)])
    return relation


def _names(tables: list[Table]) -> Iterator[tuple[str, Table, Column]]:
    """Every column with a name of its own: a name that an earlier table has gets its table's in brackets, as Tableau does."""
    taken: set[str] = set()
    for table in tables:
        for column in table.columns:
            name = f"{column.name} ({table.name})" if column.name in taken else column.name
            taken.add(name)
            yield name, table, column


def _field(name: str, column: Column) -> ElementTree.Element:
    data_type, role, kind = _TYPES.get(column.base_type, _WHOLE_NUMBER)
    if column.name in _SUMS:
        role, kind = "measure", "quantitative"
    field = ElementTree.Element("column", datatype=data_type, name=f"[{name}]", role=role, type=kind)
    if column.is_hidden:
        field.set("hidden", "true")
    run = ElementTree.SubElement(ElementTree.SubElement(ElementTree.SubElement(field, "desc"), "formatted-text"), "run")
    run.text = column.description
    return field
