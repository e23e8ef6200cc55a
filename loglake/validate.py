"""Is the warehouse in the state a load may build on? Schema, roles, the last load's books, and no other load in flight."""

import psycopg
from psycopg.rows import TupleRow

from loglake import live
from loglake.settings import ROLES
from loglake.warehouse import LOAD_LOCK_KEY, RAW_COLUMNS, SCHEMAS

#: Every table that `loglake.warehouse.apply_schema` makes in `raw`, `ops` and `live`.
TABLES = (
    "raw.log_events",
    "raw.rejected_events",
    "raw.retired_month",
    "raw.ref_user_agent",
    "raw.ref_country",
    "raw.ref_domain",
    "raw.ref_holiday",
    "raw.ref_position",
    "ops.load_manifest",
    "ops.stream_progress",
    "ops.retired_progress",
    "ops.stream_heartbeat",
    "ops.reject_resolution",
    "ops.erasure",
    "ops.erased_record",
    "ops.retirement",
    "ops.retired_day",
    "ops.incident",
    "ops.outbox",
    "ops.outbox_delivery",
    "ops.outbox_channel",
    "ops.alert_threshold",
    "ops.dag_run",
    "ops.schema_version",
    *live.TABLES,
)
#: (role, schema, may use it): what each stage needs, and what the readers of the marts must not see.
USAGE = (
    ("loader", "raw", True),
    ("dbt", "raw", True),
    ("dbt", "marts", True),
    ("bi_reader", "marts", True),
    ("bi_reader", "raw", False),
    ("bi_reader", "ops", False),
    ("monitor", "live", True),
    ("bi_reader", "live", False),
    ("bi_reader", "restricted", False),
    ("monitor", "restricted", False),
)

_LAST_LOADS = """
select load_id, snapshot_from, snapshot_to, rows_inserted, rows_rejected
from ops.load_manifest order by load_id desc limit 2
"""
_LOADED = """
select (select count(*) from raw.log_events where load_id = %(load_id)s),
       (select count(*) from raw.rejected_events where load_id = %(load_id)s)
"""
#: A bigint key k shows in pg_locks as classid = k >> 32 and objid = k & 0xffffffff.
_LOCK_HOLDER = """
select pid from pg_locks
where locktype = 'advisory' and granted and objsubid = 1
  and database = (select oid from pg_database where datname = current_database())
  and (classid::bigint << 32) | objid::bigint = %s
"""


def validate_warehouse(connection: psycopg.Connection) -> list[str]:
    """What is wrong, one line each; empty when a load may start. `connection` may be the monitor's: it only reads."""
    missing = missing_objects(connection)
    if missing:
        return missing
    return [*wrong_privileges(connection), *unbalanced(connection), *load_in_flight(connection)]


def missing_objects(connection: psycopg.Connection) -> list[str]:
    """Schemas, roles, tables and columns that `loglake up` should have made."""
    schemas = _names(connection, "select nspname from pg_namespace")
    roles = _names(connection, "select rolname from pg_roles")
    problems = [f"schema {name} is missing: run `loglake up`" for name in sorted(set(SCHEMAS) - schemas)]
    problems += [f"role {name} is missing: run `loglake up`" for name in sorted(set(ROLES) - roles)]
    if problems:
        return problems
    tables = _names(connection, "select relnamespace::regnamespace || '.' || relname from pg_class where relkind in ('r', 'p')")
    problems = [f"table {name} is missing: run `loglake up`" for name in TABLES if name not in tables]
    columns = _names(connection, "select attname from pg_attribute where attrelid = to_regclass('raw.log_events') and attnum > 0")
    expected = {column.name for column in RAW_COLUMNS} | {"load_id"}
    lacking = sorted(expected - columns) if "raw.log_events" in tables else []
    return problems + [f"column raw.log_events.{name} is missing: the contract changed, run `loglake up`" for name in lacking]


def wrong_privileges(connection: psycopg.Connection) -> list[str]:
    """Roles that may see more, or less, than they should."""
    problems = []
    for role, schema, expected in USAGE:
        if _row(connection, "select has_schema_privilege(%s, %s, 'usage')", role, schema)[0] != expected:
            problems.append(f"role {role} {'cannot' if expected else 'can'} use schema {schema}: run `loglake up`")
    return problems


def unbalanced(connection: psycopg.Connection) -> list[str]:
    """Where the last load's manifest differs from what the warehouse holds, or does not follow on from the load before."""
    loads = connection.execute(_LAST_LOADS).fetchall()
    if not loads:
        return []
    load_id, start, _, inserted, rejected = loads[0]
    in_raw, in_rejected = connection.execute(_LOADED, {"load_id": load_id}).fetchone() or (0, 0)
    problems = []
    if in_raw != inserted:
        problems.append(f"load {load_id} inserted {inserted} rows, raw.log_events holds {in_raw} of them: run `loglake reconcile`")
    if in_rejected != rejected:
        problems.append(
            f"load {load_id} rejected {rejected} rows, raw.rejected_events holds {in_rejected} of them: run `loglake reconcile`"
        )
    if len(loads) > 1 and start not in (None, loads[1][2]):
        problems.append(f"load {load_id} starts at snapshot {start}, the load before it ended at {loads[1][2]}: run `loglake reconcile`")
    return problems


def load_in_flight(connection: psycopg.Connection) -> list[str]:
    """Whether another load holds the lock."""
    holder = connection.execute(_LOCK_HOLDER, [LOAD_LOCK_KEY]).fetchone()
    return [f"another load is in flight (Postgres session {holder[0]}): wait until it has ended"] if holder else []


def _row(connection: psycopg.Connection, query: str, *values: str) -> TupleRow:
    row: TupleRow | None = connection.execute(query.encode(), values).fetchone()
    return row or (None,)


def _names(connection: psycopg.Connection, query: str) -> set[str]:
    return {row[0] for row in connection.execute(query.encode())}
