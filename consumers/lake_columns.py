"""New fields of the contract in a lake table that holds data: columns are added to its metadata, and no data file is touched.

Rows that were written before read as null there. A field that is gone, or has another type, is refused: the lake is never rewritten
for a contract.
"""

from dataclasses import dataclass
from typing import cast

from pyspark.sql import SparkSession
from pyspark.sql.types import ArrayType, DataType, StructType

from loglake import tables
from loglake.columns import LAKE_COLUMNS
from loglake.errors import SchemaError

_DESCRIPTIONS = {column.name: column.description for column in LAKE_COLUMNS}
#: How SQL calls what an array holds.
_ELEMENT = "element"


@dataclass(frozen=True)
class Addition:
    """A column to add: its place in nested columns, its SQL type, and the name it comes after; "" when it is the first."""

    path: tuple[str, ...]
    type: str
    after: str

    @property
    def clause(self) -> str:
        """As `ALTER TABLE … ADD COLUMNS (…)` wants it. The order is the contract's: a stream writes by position, and Iceberg checks it."""
        name = ".".join(f"`{part}`" for part in self.path)
        description = _DESCRIPTIONS.get(self.path[0], "") if len(self.path) == 1 else ""
        comment = f" COMMENT {tables.quoted(description)}" if description else ""
        return f"{name} {self.type}{comment} " + (f"AFTER `{self.after}`" if self.after else "FIRST")


def add_missing(spark: SparkSession, table: str) -> tuple[Addition, ...]:
    """Add the columns of the contract that a lake table lacks, in one commit; what was added. SchemaError as `additions`."""
    wanted = cast(StructType, StructType.fromDDL(tables.spark_schema()))
    found = additions(spark.table(table).schema, wanted)
    if found:
        spark.sql(f"ALTER TABLE {table} ADD COLUMNS ({', '.join(addition.clause for addition in found)})")
    return found


def additions(held: StructType, wanted: StructType, path: tuple[str, ...] = ()) -> tuple[Addition, ...]:
    """What a table with the columns `held` lacks of `wanted`, also inside arrays and structs.

    SchemaError when adding is not enough: a column has another type, or `wanted` no longer has it.
    """
    found: list[Addition] = []
    for gone in [name for name in held.names if name not in wanted.names]:
        raise SchemaError(
            f"column {'.'.join((*path, gone))} of the lake is not in the contract: columns are only ever added; bring the field back "
            "into loglake/events.py"
        )
    after = ""
    for field in wanted.fields:
        here = (*path, field.name)
        if field.name in held.names:
            found += _inside(held[field.name].dataType, field.dataType, here)
        else:
            found.append(Addition(here, field.dataType.simpleString(), after))
        after = field.name
    return tuple(found)


def _inside(held: DataType, wanted: DataType, path: tuple[str, ...]) -> tuple[Addition, ...]:
    """The additions within one column that both have."""
    if isinstance(held, StructType) and isinstance(wanted, StructType):
        return additions(held, wanted, path)
    if isinstance(held, ArrayType) and isinstance(wanted, ArrayType):
        return _inside(held.elementType, wanted.elementType, (*path, _ELEMENT))
    if held != wanted:
        raise SchemaError(
            f"column {'.'.join(path)} of the lake is {held.simpleString()}, the contract says {wanted.simpleString()}: "
            "columns are only ever added, so give the new field another name"
        )
    return ()
