"""The Power BI semantic model as TMDL (Tabular Model Definition Language): one file per table, tabs for depth, `///` for descriptions."""

import json
import re
import uuid

from loglake.bi.measures import MEASURES, Measure
from loglake.bi.model import SCHEMA, Column, Relationship, Table
from loglake.bi.pages import CURRENCY
from loglake.bi.query import CALENDAR, DAYS
from loglake.errors import LoglakeError
from loglake.setting_groups import PostgresSettings

#: The namespace of every id in the model: the same object has the same id each time it is generated.
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "loglake/bi")
#: Postgres type -> TMDL data type, and how Power BI shows it. `decimal` has four digits after the point.
_TYPES = {
    "text": ("string", ""),
    "uuid": ("string", ""),
    "boolean": ("boolean", ""),
    "smallint": ("int64", "0"),
    "integer": ("int64", "0"),
    "bigint": ("int64", "0"),
    "numeric": ("decimal", "#,##0.00"),
    "date": ("dateTime", "yyyy-mm-dd"),
    "timestamptz": ("dateTime", "yyyy-mm-dd hh:nn:ss"),
}
_MODEL = """\
model Model
	culture: en-US
	defaultPowerBIDataSourceVersion: powerBI_V3
	discourageImplicitMeasures
	sourceQueryCulture: en-US
	dataAccessOptions
		legacyRedirects
		returnErrorValuesAsNull

annotation __PBI_TimeIntelligenceEnabled = 0

"""


def model_files(tables: dict[str, Table], relationships: tuple[Relationship, ...]) -> dict[str, str]:
    """The files of `definition/`: path below it -> content."""
    files = {
        "database.tmdl": "database\n\tcompatibilityLevel: 1600\n\n",
        "expressions.tmdl": _expressions(),
        "model.tmdl": _model(tables),
        "relationships.tmdl": "\n".join(map(_relationship, relationships)),
    }
    return files | {f"tables/{table.name}.tmdl": _table(table) for table in tables.values()}


def identity(*path: str) -> str:
    """A stable id of an object of the model or the report."""
    return str(uuid.uuid5(NAMESPACE, "/".join(path)))


def server() -> str:
    """HOST:PORT of the warehouse where nothing is set: the files are the same for everyone, and no address is a secret."""
    fields = PostgresSettings.model_fields
    return f"{fields['host'].default}:{fields['port'].default}"


def database() -> str:
    """The warehouse's database where nothing is set."""
    return str(PostgresSettings.model_fields["database"].default)


def quoted(name: str) -> str:
    """A name as TMDL writes it."""
    return name if re.fullmatch(r"\w+", name) else "'" + name.replace("'", "''") + "'"


def dax(measure: Measure) -> str:
    """The measure's DAX; an amount is empty where several currencies would be added up."""
    if measure.is_money and not measure.parts:
        table, _, column = CURRENCY.partition(".")
        return f"IF(HASONEVALUE({table}[{column}]), {measure.dax})"
    return measure.dax


def _expressions() -> str:
    """The parameters that every table's query reads: another server is one change."""
    lines = []
    for name, value, description in (
        ("Server", server(), "Address of the warehouse's Postgres, HOST:PORT"),
        ("Database", database(), "Database of the warehouse"),
    ):
        lines += [
            f"/// {description}",
            f'expression {name} = "{value}" meta [IsParameterQuery=true, Type="Text", IsParameterQueryRequired=true]',
            f"\tlineageTag: {identity('expression', name)}",
            "",
            "\tannotation PBI_ResultType = Text",
            "",
        ]
    return "\n".join(lines) + "\n"


def _model(tables: dict[str, Table]) -> str:
    order = json.dumps(["Server", "Database", *tables], separators=(",", ":"))
    references = "\n".join(f"ref table {quoted(name)}" for name in tables)
    return f"{_MODEL}annotation PBI_QueryOrder = {order}\n\n{references}\n\n"


def _relationship(relationship: Relationship) -> str:
    source, target = (relationship.table, relationship.column), (relationship.to_table, relationship.to_column)
    lines = [
        f"relationship {identity('relationship', *source, *target)}",
        f"\tfromColumn: {'.'.join(map(quoted, source))}",
        f"\ttoColumn: {'.'.join(map(quoted, target))}",
    ]
    return "\n".join(lines) + "\n"


def _table(table: Table) -> str:
    lines = [f"/// {table.description}", f"table {quoted(table.name)}", f"\tlineageTag: {identity('table', table.name)}"]
    if table.name == CALENDAR:
        lines.append("\tdataCategory: Time")
    lines.append("")
    for measure in MEASURES.values():
        if measure.table == table.name:
            lines += _measure(measure)
    for column in table.columns:
        lines += _column(table, column)
    return "\n".join(lines + _partition(table)) + "\n"


def _measure(measure: Measure) -> list[str]:
    return [
        f"\t/// {measure.description}",
        f"\tmeasure {quoted(measure.name)} = {dax(measure)}",
        f"\t\tformatString: {measure.format.power_bi}",
        f"\t\tlineageTag: {identity('measure', measure.name)}",
        "",
    ]


def _column(table: Table, column: Column) -> list[str]:
    if column.base_type not in _TYPES:
        raise LoglakeError(f"marts.{table.name}.{column.name}: no Power BI type for {column.data_type}; add it to loglake/bi/tmdl.py")
    data_type, format_string = _TYPES[column.base_type]
    is_day = table.name == CALENDAR and column.name == "calendar_date"
    # Who filters a fact's own day, or the hours' year or month, filters this one table: the calendar's filter them all.
    is_hidden = column.is_hidden or DAYS.get(table.name) == column.name or (table.name == "dim_date" and column.name != "timestamp")
    lines = [f"\t/// {column.description}", f"\tcolumn {quoted(column.name)}", f"\t\tdataType: {data_type}"]
    lines += ["\t\tisHidden"] * is_hidden + ["\t\tisKey"] * is_day
    lines += [f"\t\tformatString: {format_string}"] if format_string else []
    lines += [
        f"\t\tlineageTag: {identity('column', table.name, column.name)}",
        "\t\tsummarizeBy: none",
        f"\t\tsourceColumn: {column.name}",
        "",
    ]
    lines += ["\t\tannotation UnderlyingDateTimeDataType = Date", ""] if column.base_type == "date" else []
    return lines


def _partition(table: Table) -> list[str]:
    """The query of a table in M. Moments come with a time zone, which the model has not: they are brought to UTC by name."""
    steps = ["Source = PostgreSQL.Database(Server, Database)", f'Rows = Source{{[Schema="{SCHEMA}", Item="{table.name}"]}}[Data]']
    moments = [column.name for column in table.columns if column.base_type == "timestamptz"]
    if moments:
        changes = ", ".join(
            f'{{"{name}", each DateTimeZone.RemoveZone(DateTimeZone.ToUtc(_)), type nullable datetime}}' for name in moments
        )
        steps.append(f"InUtc = Table.TransformColumns(Rows, {{{changes}}})")
    query = ["let", *(f"    {step}," for step in steps[:-1]), f"    {steps[-1]}", "in", "    InUtc" if moments else "    Rows"]
    lines = [f"\tpartition {quoted(table.name)} = m", "\t\tmode: import", "\t\tsource ="]
    return [*lines, *("\t\t\t\t" + line for line in query), "", "\tannotation PBI_ResultType = Table", ""]
