"""A mart as Parquet. Apart from `loglake.exports`, since what it imports takes a second to load."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import adbc_driver_postgresql.dbapi as adbc
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
from psycopg import sql

from loglake import clients
from loglake.marts import ROLE, SCHEMA, Column

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
