"""Marts as files: any table or view of the schema `marts`, streamed to CSV or Parquet, as `bi_reader` sees it.

CSV is what Postgres's COPY writes: UTF-8, a header, nothing between two commas for null. Parquet has the column's own types
(`arrow_type`). Memory does not grow with the mart: rows pass in batches.
"""

import difflib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import adbc_driver_postgresql.dbapi as adbc
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
from psycopg import sql

from loglake import clients
from loglake.errors import BadInputError, ServiceError
from loglake.files import replacing

FORMATS = ("csv", "parquet")
ROLE = "bi_reader"
SCHEMA = "marts"
#: Types that Arrow has too; `arrow_type` says what becomes of the others.
_ARROW = {
    "bool": pa.bool_(),
    "int2": pa.int16(),
    "int4": pa.int32(),
    "int8": pa.int64(),
    "float4": pa.float32(),
    "float8": pa.float64(),
    "text": pa.string(),
    "varchar": pa.string(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", tz="UTC"),
    "bytea": pa.binary(),
}
#: Digits and decimal places of a numeric column that names none.
_WIDEST = (38, 10)


@dataclass(frozen=True)
class Column:
    """A mart's column: its name, Postgres's name of its type, and a numeric's digits and decimal places when it names them."""

    name: str
    type: str
    precision: int | None = None
    scale: int | None = None


Marts = Mapping[str, tuple[Column, ...]]


def marts(connection: psycopg.Connection) -> Marts:
    """Every mart that the connection may read, by name, with its columns in order; BadInputError when there is none."""
    rows = connection.execute(
        """
        select table_name, column_name, udt_name, numeric_precision, numeric_scale from information_schema.columns
        where table_schema = %s and has_table_privilege(format('%%I.%%I', table_schema, table_name), 'select')
        order by table_name, ordinal_position
        """,
        [SCHEMA],
    ).fetchall()
    found: dict[str, tuple[Column, ...]] = {}
    for mart, name, kind, precision, scale in rows:
        column = Column(name, kind, precision, scale) if kind == "numeric" else Column(name, kind)
        found[mart] = (*found.get(mart, ()), column)
    if not found:
        raise BadInputError("there are no marts yet: run `loglake load`, then `loglake model`")
    return found


def require(known: Marts, mart: str) -> None:
    """BadInputError, with the nearest name, for a mart that is not there."""
    if mart not in known:
        near = difflib.get_close_matches(mart, known, 1)
        raise BadInputError(f"no mart {mart!r}: " + (f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"))


@contextmanager
def reading(database: str | None = None) -> Iterator[psycopg.Connection]:
    """A connection as `bi_reader`, all of whose queries see the marts as they are now, whatever dbt does meanwhile."""
    with clients.postgres(ROLE, database, autocommit=False) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        yield connection


def export(connection: psycopg.Connection, known: Marts, mart: str, target: Path, kind: str) -> int:
    """Write a mart to `target`, or leave `target` as it is; the number of rows. `connection` is that of `reading`."""
    require(known, mart)
    with replacing(target) as draft:
        if kind == "parquet":
            rows = write_parquet(connection, mart, known[mart], draft)
        else:
            with draft.open("wb") as file:
                rows = write_csv(connection, mart, file)
        require_same_tables(connection)
    return rows


def require_same_tables(connection: psycopg.Connection) -> None:
    """ServiceError when a table was made anew since the connection's state: it would look empty, as its rows are all newer.

    pg_class is read as of that state, while Postgres finds a table by its name, and the name's file, as they are now.
    """
    moved = connection.execute(
        """
        select relname from pg_class
        where relnamespace = %s::regnamespace and relkind = 'r'
        and relfilenode is distinct from pg_relation_filenode(to_regclass(format('%%I.%%I', %s::text, relname)))
        """,
        [SCHEMA, SCHEMA],
    ).fetchone()
    if moved:
        raise ServiceError(f"{SCHEMA}.{moved[0]} was made anew while it was read: run the command again")


def write_csv(connection: psycopg.Connection, mart: str, file: BinaryIO) -> int:
    """Copy a mart to `file` as CSV; the number of rows."""
    statement = sql.SQL("copy (select * from {}) to stdout (format csv, header)").format(sql.Identifier(SCHEMA, mart))
    with connection.cursor() as cursor:
        with cursor.copy(statement) as copy:
            for block in copy:
                file.write(block)
        return cursor.rowcount


def write_parquet(connection: psycopg.Connection, mart: str, columns: tuple[Column, ...], target: Path) -> int:
    """Write a mart to `target` as Parquet, one row group per batch; the number of rows."""
    fields = sql.SQL(", ").join(_expression(column) for column in columns)
    query = sql.SQL("select {} from {}").format(fields, sql.Identifier(SCHEMA, mart)).as_string(connection)
    schema = pa.schema([(column.name, arrow_type(column)) for column in columns])
    rows = 0
    with _same_snapshot(connection) as cursor, pq.ParquetWriter(target, schema, compression="zstd") as writer:
        cursor.execute(query)
        for batch in cursor.fetch_record_batch():
            writer.write_batch(batch.cast(schema))
            rows += batch.num_rows
    return rows


def arrow_type(column: Column) -> pa.DataType:
    """numeric becomes decimal128, timestamptz a timestamp in UTC; what Arrow does not have (uuid, jsonb, arrays) becomes text."""
    if column.type == "numeric":
        return pa.decimal128(*_digits(column))
    return _ARROW.get(column.type, pa.string())


def _expression(column: Column) -> sql.Composed:
    """The column as ADBC reads it into what `batch.cast` can make its Arrow type of: numerics come as text."""
    name = sql.Identifier(column.name)
    if column.type == "numeric":
        digits = [sql.Literal(number) for number in _digits(column)]
        return sql.SQL("{}::numeric({}, {})::text as {}").format(name, *digits, name)
    return sql.SQL("{}" if column.type in _ARROW else "{0}::text as {0}").format(name)


def _digits(column: Column) -> tuple[int, int]:
    return _WIDEST if column.precision is None else (column.precision, column.scale or 0)


@contextmanager
def _same_snapshot(connection: psycopg.Connection) -> Iterator[Any]:
    """An ADBC cursor that sees what `connection` sees."""
    [(snapshot,)] = connection.execute("select pg_export_snapshot()").fetchall()
    uri = clients.postgres_uri(ROLE, connection.info.dbname)
    with adbc.connect(uri) as other, other.cursor() as cursor:
        cursor.execute("set transaction isolation level repeatable read, read only")
        cursor.execute(sql.SQL("set transaction snapshot {}").format(sql.Literal(snapshot)).as_string(connection))
        yield cursor
