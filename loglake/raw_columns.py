"""The contract's columns in a Postgres table that holds rows: new ones are added, any other difference is refused."""

from collections.abc import Collection, Mapping

import psycopg
from psycopg import sql

from loglake.errors import SchemaError

#: How long a change of a table waits for its readers and writers: everybody who comes later queues behind it.
LOCK_TIMEOUT = "10s"

#: Columns that differ between what is wanted and a table: name, and the type of each (null: it has no such column).
_DIFFERING = """
select coalesce(wanted.name, held.attname), wanted.type, format_type(held.atttypid, held.atttypmod)
from unnest(%(names)s::text[], %(types)s::text[]) with ordinality as wanted (name, type, place)
full join (
    select attname, atttypid, atttypmod from pg_attribute where attrelid = %(table)s::regclass and attnum > 0 and not attisdropped
) as held on held.attname = wanted.name
where (held.atttypid, held.atttypmod) is distinct from (to_regtype(wanted.type)::oid, coalesce(to_regtypemod(wanted.type), -1))
order by place
"""


def add_missing(
    connection: psycopg.Connection, schema: str, table: str, wanted: Mapping[str, str], required: Collection[str]
) -> tuple[str, ...]:
    """Add the columns of `wanted` (name → type) that a table lacks, at its end; their names. What is there stays as it is.

    SchemaError when the contract changed in another way: columns are added only, so that no row ever has to be written anew. None of
    `required` can be added, as rows that are there do not have it. `connection` is in a transaction, which from the first new column on
    waits for no lock longer than LOCK_TIMEOUT: psycopg.errors.LockNotAvailable.
    """
    given = {"names": list(wanted), "types": list(wanted.values()), "table": f"{schema}.{table}"}
    added: list[str] = []
    for name, type_wanted, type_held in connection.execute(_DIFFERING, given).fetchall():
        where = f"column {name} of {schema}.{table}"
        if type_wanted is None:
            raise SchemaError(f"{where} is not in the contract: columns are only ever added; bring the field back into loglake/events.py")
        if type_held is not None:
            raise SchemaError(
                f"{where} is {type_held}, the contract says {type_wanted}: columns are only ever added, so give the new field another name"
            )
        if name in required:
            raise SchemaError(f"{where} is new and not optional, but events that are there do not have it: make the field optional")
        if not added:
            connection.execute("select set_config('lock_timeout', %s, true)", [LOCK_TIMEOUT])
        identifiers = sql.Identifier(schema, table), sql.Identifier(name), sql.SQL(type_wanted)
        connection.execute(sql.SQL("alter table {} add column {} {}").format(*identifiers))
        added.append(name)
    return tuple(added)
