"""The marts as `bi_reader` finds them: which there are, and all of them as they were at one moment."""

import difflib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

from loglake import clients
from loglake.errors import BadInputError, ServiceError

ROLE = "bi_reader"
SCHEMA = "marts"


@dataclass(frozen=True)
class Column:
    """A mart's column: its name, Postgres's name of its type, and a numeric's digits and decimal places when it names them."""

    name: str
    type: str
    precision: int | None = None
    scale: int | None = None


Marts = Mapping[str, tuple[Column, ...]]


@contextmanager
def reading(database: str | None = None) -> Iterator[psycopg.Connection]:
    """A connection as `bi_reader`, all of whose queries see the marts as they are now, whatever dbt does meanwhile."""
    with clients.postgres(ROLE, database, autocommit=False) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        yield connection


def catalogue(connection: psycopg.Connection) -> Marts:
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


def require_same_tables(connection: psycopg.Connection) -> None:
    """ServiceError when a table was made anew since the connection's state: it would look empty, as its rows are all newer.

    The catalog's tables are read as of that state, while Postgres finds a table by its name, and the name's file, as they are now.
    """
    moved = connection.execute(
        """
        select relname from pg_class join pg_namespace on pg_class.relnamespace = pg_namespace.oid
        where nspname = %s and relkind = 'r'
        and relfilenode is distinct from pg_relation_filenode(to_regclass(format('%%I.%%I', nspname, relname)))
        """,
        [SCHEMA],
    ).fetchone()
    if moved:
        raise ServiceError(f"{SCHEMA}.{moved[0]} was made anew while it was read: run the command again")
