"""The tables of the Postgres warehouse and who may use them; applied by `loglake up` as often as one likes.

`raw` and `stage` belong to the loader, `staging`, `snapshots`, `marts` and `restricted` to dbt, `ops` and `live` to whoever writes them.
"""

from collections.abc import Iterable

import msgspec
import psycopg
from psycopg import sql

from loglake import erasure, live, privacy, raw_columns, reference, resolutions, retirement
from loglake.alerts import store as alerts
from loglake.alerts import thresholds
from loglake.columns import COLUMNS, INGESTED_AT, POSITION
from loglake.events import Event
from loglake.setting_groups import PostgresSettings
from loglake.settings import settings

#: Columns of `raw.log_events` in order, without load_id: the contract first, then where the record came from.
RAW_COLUMNS = (*COLUMNS, *POSITION, INGESTED_AT)
#: What an event cannot be without, and where its record came from. A column that is added later is never one of them.
NOT_NULL = frozenset(column.name for column in RAW_COLUMNS if not column.group) - {
    field.name for field in msgspec.structs.fields(Event) if not field.required
}

#: Advisory lock that a load holds in the warehouse's database for as long as it runs.
LOAD_LOCK_KEY = 7_265_002
#: Advisory lock of the one lake stream; a second one would write records twice.
STREAM_LOCK_KEY = 7_265_001
#: Advisory lock of a dbt run: two at once would swap the same views under each other.
MODEL_LOCK_KEY = 7_265_003
#: Advisory lock of `loglake rebuild`, `forget` and `maintain`: two at once would fill the same shadow, or take each other's files away.
REBUILD_LOCK_KEY = 7_265_004

#: The table of the revision that the warehouse is at (loglake/upgrades.py); in the shape that Alembic gives it.
SCHEMA_VERSION = "ops.schema_version"

SCHEMAS = {
    "raw": "loader",
    "stage": "loader",
    "ops": "loader",
    "live": "loader",
    "staging": "dbt",
    "snapshots": "dbt",
    "marts": "dbt",
    "restricted": "dbt",
}

LOAD_MANIFEST = """
create table if not exists {ops}.load_manifest (
    load_id bigint primary key,
    snapshot_from bigint,
    snapshot_to bigint not null,
    started_at timestamptz not null,
    committed_at timestamptz not null,
    files_read bigint not null,
    rows_read bigint not null,
    rows_inserted bigint not null,
    rows_duplicate bigint not null,
    rows_rejected bigint not null,
    constraint books_balance check (rows_read = rows_inserted + rows_duplicate + rows_rejected),
    constraint counts_not_negative check (least(files_read, rows_inserted, rows_duplicate, rows_rejected) >= 0)
);
comment on table {ops}.load_manifest is 'One row per load, written in the same transaction as its data';
"""

OPS_TABLES = """
create table if not exists ops.stream_progress (
    query_id text not null,
    batch_id bigint not null,
    run_id text not null,
    topic text not null,
    finished_at timestamptz not null,
    duration_ms bigint not null,
    rows_read bigint not null,
    rows_rejected bigint not null,
    start_offsets jsonb,
    end_offsets jsonb not null,
    lag bigint not null,
    event_delay_seconds double precision,
    primary key (query_id, batch_id)
);
comment on table ops.stream_progress is 'One row per micro-batch of a stream that held records';
create table if not exists ops.retired_progress (
    topic text primary key,
    batches bigint not null,
    duration_ms bigint not null,
    rows_read bigint not null,
    rows_rejected bigint not null
);
comment on table ops.retired_progress is 'One row per topic: sums of the rows of stream_progress that were deleted by age';
create table if not exists ops.stream_heartbeat (
    stream text primary key,
    query_id text not null,
    run_id text not null,
    seen_at timestamptz not null,
    lag bigint not null
);
comment on table ops.stream_heartbeat is 'When each stream last started, or finished a trigger, also an empty one';
"""

VERSION_TABLE = f"""
create table if not exists {SCHEMA_VERSION} (
    version_num varchar(32) not null,
    constraint schema_version_pkc primary key (version_num)
);
comment on table {SCHEMA_VERSION} is 'The revision of loglake/migrations that the schema is at; written by `loglake up`';
"""

RAW_TABLES = """
create table if not exists {raw}.log_events_default partition of {raw}.log_events default;
create index if not exists log_events_load_id on {raw}.log_events (load_id);
create index if not exists log_events_order_id on {raw}.log_events (order_id) where order_id is not null;
create table if not exists {raw}.rejected_events (
    topic text not null,
    partition integer not null,
    "offset" bigint not null,
    kafka_timestamp timestamptz not null,
    ingested_at timestamptz not null,
    reject_reason text not null,
    payload bytea,
    load_id bigint not null,
    primary key (topic, partition, "offset")
);
create index if not exists rejected_events_load_id on {raw}.rejected_events (load_id);
create table if not exists {raw}.retired_month (
    month date not null,
    retired_at timestamptz not null,
    events bigint not null,
    primary key (month, retired_at)
);
comment on table {raw}.retired_month is 'One row per month of log_events that was dropped by age: how many events went';
"""

#: Iceberg's JDBC catalog, schema version V1 (org.apache.iceberg.jdbc.JdbcUtil): made here so that no two writers race to make it.
CATALOG_TABLES = """
create table if not exists iceberg_tables (
    catalog_name varchar(255) not null,
    table_namespace varchar(255) not null,
    table_name varchar(255) not null,
    metadata_location varchar(1000),
    previous_metadata_location varchar(1000),
    iceberg_type varchar(5),
    primary key (catalog_name, table_namespace, table_name)
);
create table if not exists iceberg_namespace_properties (
    catalog_name varchar(255) not null,
    namespace varchar(255) not null,
    property_key varchar(255),
    property_value varchar(1000),
    primary key (catalog_name, namespace, property_key)
);
"""

GRANTS = """
grant usage on schema raw, ops to dbt, monitor;
grant usage on schema live, staging, snapshots, marts to monitor;
grant usage on schema marts to bi_reader;
grant select on all tables in schema raw, ops to dbt, monitor;
grant select on all tables in schema live to monitor;
alter default privileges for role loader in schema raw, ops grant select on tables to dbt, monitor;
alter default privileges for role loader in schema live grant select on tables to monitor;
alter default privileges for role dbt in schema staging, snapshots grant select on tables to monitor;
alter default privileges for role dbt in schema marts grant select on tables to monitor, bi_reader;
"""


def raw_log_events_ddl(schema: str = "raw") -> str:
    """The DDL of `raw.log_events`: one row per event_id, partitioned by ranges of the UUIDv7, which are ranges of time."""
    lines = [f'"{c.name}" {c.postgres}{" not null" if c.name in NOT_NULL else ""}' for c in RAW_COLUMNS]
    lines += ["load_id bigint not null", "primary key (event_id)"]
    body = ",\n    ".join(lines)
    return f"create table if not exists {schema}.log_events (\n    {body}\n) partition by range (event_id)"


def comments(schema: str = "raw") -> list[sql.Composed]:
    """COMMENT ON COLUMN for the contract's columns: the descriptions of `loglake.events`."""
    return [
        sql.SQL("comment on column {} is {}").format(sql.Identifier(schema, "log_events", c.name), sql.Literal(c.description))
        for c in RAW_COLUMNS
    ]


def create_roles(connection: psycopg.Connection, config: PostgresSettings, roles: tuple[str, ...]) -> None:
    """Create the log-in roles, or set their passwords anew. `connection` is the superuser's, in autocommit."""
    for role in roles:
        known = connection.execute("select 1 from pg_roles where rolname = %s", [role]).fetchone()
        verb = sql.SQL("alter" if known else "create")
        statement = sql.SQL("{} role {} login password {}").format(verb, sql.Identifier(role), sql.Literal(config.password(role)))
        connection.execute(statement)


def create_database(connection: psycopg.Connection, name: str, owner: str) -> None:
    """Create a database that only its owner (and whoever is granted it) may connect to."""
    if connection.execute("select 1 from pg_database where datname = %s", [name]).fetchone() is None:
        connection.execute(
            sql.SQL("create database {} owner {} encoding 'UTF8' template template0").format(sql.Identifier(name), sql.Identifier(owner))
        )
    connection.execute(sql.SQL("revoke connect, temporary on database {} from public").format(sql.Identifier(name)))


def apply_schema(connection: psycopg.Connection) -> None:
    """Create what is missing in the warehouse. `connection` is the superuser's, in the warehouse database; one transaction."""
    with connection.transaction():
        create_schemas(connection, SCHEMAS)
        connection.execute("set local role loader")
        connection.execute(OPS_TABLES)
        connection.execute(erasure.DDL)
        connection.execute(retirement.DDL)
        connection.execute(resolutions.DDL)
        connection.execute(alerts.DDL)
        connection.execute(thresholds.DDL)
        connection.execute(live.DDL)
        create_load_tables(connection)
        connection.execute("reset role")
        connection.execute(VERSION_TABLE)
        connection.execute(GRANTS)
        connection.execute(thresholds.GRANT)
        for role in ("loader", "dbt", "monitor", "bi_reader"):
            names = [sql.Identifier(connection.info.dbname), sql.Identifier(role)]
            connection.execute(sql.SQL("grant connect on database {} to {}").format(*names))
        # dbt stages the new rows of an incremental model in a temporary table.
        connection.execute(sql.SQL("grant temporary on database {} to dbt").format(sql.Identifier(connection.info.dbname)))
        connection.execute("alter role bi_reader set default_transaction_read_only = on")
        connection.execute("alter role monitor set default_transaction_read_only = on")
        privacy.apply(connection, settings().privacy.key.get_secret_value())


def create_schemas(connection: psycopg.Connection, names: Iterable[str], prefix: str = "") -> None:
    """Create schemas of SCHEMAS that are missing, each its owner's, with `prefix` before their names."""
    for name in names:
        parts = sql.Identifier(prefix + name), sql.Identifier(SCHEMAS[name])
        connection.execute(sql.SQL("create schema if not exists {} authorization {}").format(*parts))


def create_load_tables(connection: psycopg.Connection, prefix: str = "") -> None:
    """Create what a load writes: the tables of the schema raw, and `ops.load_manifest`; as the role `loader`, in a transaction."""
    schemas = {name: sql.Identifier(prefix + name) for name in ("raw", "ops")}
    connection.execute(sql.SQL(LOAD_MANIFEST).format(**schemas))
    connection.execute(raw_log_events_ddl(f"{prefix}raw"))
    connection.execute(sql.SQL(RAW_TABLES).format(**schemas))
    reference.create(connection, prefix)
    wanted = {column.name: column.postgres for column in RAW_COLUMNS} | {"load_id": "bigint"}
    raw_columns.add_missing(connection, f"{prefix}raw", "log_events", wanted, NOT_NULL)
    for statement in comments(f"{prefix}raw"):
        connection.execute(statement)


def apply_catalog(connection: psycopg.Connection) -> None:
    """Create the Iceberg catalog's tables. `connection` is the superuser's, in the catalog database."""
    with connection.transaction():
        connection.execute("set local role lake_catalog")
        connection.execute(CATALOG_TABLES)
