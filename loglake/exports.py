"""Marts as files: any table or view of the schema `marts`, streamed to CSV or Parquet.

CSV is what Postgres's COPY writes: UTF-8, a header, nothing between two commas for null. Parquet has the columns' own types
(`loglake.parquet`). Memory does not grow with the mart: rows pass in batches.
"""

from pathlib import Path
from typing import BinaryIO

import psycopg
from psycopg import sql

from loglake.files import replacing
from loglake.marts import SCHEMA, Marts, require, require_same_tables

FORMATS = ("csv", "parquet")


def export(connection: psycopg.Connection, known: Marts, mart: str, target: Path, kind: str) -> int:
    """Write a mart to `target`, or leave `target` as it is; the number of rows. `connection` is that of `reading`."""
    require(known, mart)
    with replacing(target) as draft:
        if kind == "parquet":
            from loglake.parquet import write_parquet

            rows = write_parquet(connection, mart, known[mart], draft)
        else:
            with draft.open("wb") as file:
                rows = write_csv(connection, mart, file)
        require_same_tables(connection)
    return rows


def write_csv(connection: psycopg.Connection, mart: str, file: BinaryIO) -> int:
    """Copy a mart to `file` as CSV; the number of rows."""
    statement = sql.SQL("copy (select * from {}) to stdout (format csv, header)").format(sql.Identifier(SCHEMA, mart))
    with connection.cursor() as cursor:
        with cursor.copy(statement) as copy:
            for block in copy:
                file.write(block)
        return cursor.rowcount
