"""The shadow of the warehouse: the same schemas behind a prefix, filled while readers read the others, then swapped in at once.

A rename of a schema takes no lock on its tables and is one row of the catalog, so the swap is one short transaction. Every
`connection` is the superuser's, in the warehouse database.
"""

import secrets
import time

import psycopg
from psycopg import sql

from loglake.errors import ServiceError
from loglake.warehouse import SCHEMAS, create_load_tables, create_schemas

#: Of each shadow, with a token of its own after it: what a killed rebuild's dbt may still be at cannot get into the next one's.
SHADOW = "rebuild_"
#: What the swap puts aside, until nobody reads it any more.
REPLACED = "replaced_"
#: Schemas that a rebuild makes anew whole; of `ops` only the manifest, and `stage` is empty between loads.
SWAPPED = tuple(name for name in SCHEMAS if name not in ("stage", "ops", "live"))
MODELLED = tuple(name for name in SWAPPED if SCHEMAS[name] == "dbt")
#: The dbt snapshot, which is kept: it records what each run found, and the lake does not know when runs were.
SNAPSHOT = "cdc_product"

_LOCK_TIMEOUT = "3s"
_SWAP_SECONDS = 300
_DROP_SECONDS = 60
_PAUSE_SECONDS = 0.5

#: Statements that give to the schema `target` and what is in it what others than the owner may do with `source`.
_GRANTS = """
with parties as (
    select oid as grantee, quote_ident(rolname) as name from pg_roles
    union all
    select 0, 'public'
),
given (is_grantable, option) as (values (true, ' with grant option'), (false, ''))
select format('grant %%s on schema %%I to %%s%%s', privilege_type, %(target)s::text, parties.name, option)
from pg_namespace, aclexplode(nspacl) as acl join parties using (grantee) join given using (is_grantable)
where nspname = %(source)s and grantee <> nspowner
union all
select format('grant %%s on %%I.%%I to %%s%%s', privilege_type, %(target)s::text, held.relname, parties.name, option)
from pg_class as held
    join pg_namespace on held.relnamespace = pg_namespace.oid
    join pg_class as made on made.relname = held.relname and made.relnamespace = %(target)s::regnamespace,
    aclexplode(held.relacl) as acl join parties using (grantee) join given using (is_grantable)
where nspname = %(source)s and held.relkind in ('r', 'p', 'v', 'm') and grantee <> held.relowner
union all
select format('grant %%s (%%I) on %%I.%%I to %%s%%s', privilege_type, held.attname, %(target)s::text, made.relname, parties.name, option)
from pg_attribute as held
    join pg_class on held.attrelid = pg_class.oid
    join pg_namespace on pg_class.relnamespace = pg_namespace.oid
    join pg_class as made on made.relname = pg_class.relname and made.relnamespace = %(target)s::regnamespace
    join pg_attribute as kept on kept.attrelid = made.oid and kept.attname = held.attname,
    aclexplode(held.attacl) as acl join parties using (grantee) join given using (is_grantable)
where nspname = %(source)s
union all
select format('alter default privileges for role %%s in schema %%I grant %%s on tables to %%s%%s',
              defaclrole::regrole, %(target)s::text, privilege_type, parties.name, option)
from pg_default_acl join pg_namespace on defaclnamespace = pg_namespace.oid,
    aclexplode(defaclacl) as acl join parties using (grantee) join given using (is_grantable)
where nspname = %(source)s and defaclobjtype = 'r' and grantee <> defaclrole
union all
select format('comment on schema %%I is %%L', %(target)s::text, obj_description(pg_namespace.oid, 'pg_namespace'))
from pg_namespace
where nspname = %(source)s and obj_description(pg_namespace.oid, 'pg_namespace') is not null
"""
#: Views of somebody's own that read what a swap would put aside.
_DEPENDENTS = """
select distinct format('%%s reads %%s', views.oid::regclass, tables.oid::regclass)
from pg_depend
    join pg_rewrite on pg_depend.classid = 'pg_rewrite'::regclass and pg_depend.objid = pg_rewrite.oid
    join pg_class as views on pg_rewrite.ev_class = views.oid
    join pg_class as tables on pg_depend.refclassid = 'pg_class'::regclass and pg_depend.refobjid = tables.oid
    join pg_namespace as owners on views.relnamespace = owners.oid
where (tables.relnamespace::regnamespace::text = any(%(swapped)s) or tables.oid = to_regclass('ops.load_manifest'))
  and owners.nspname <> all(%(swapped)s) and not starts_with(owners.nspname, %(shadow)s) and not starts_with(owners.nspname, %(replaced)s)
"""
_LEFTOVERS = """
select nspname from pg_namespace where starts_with(nspname, %(shadow)s) or starts_with(nspname, %(replaced)s)
"""
#: Tables and views of the models' schemas that have no counterpart in the shadow; dbt's own scratch tables aside.
_UNKNOWN = """
select relnamespace::regnamespace || '.' || relname
from pg_class as held
where relnamespace::regnamespace::text = any(%(modelled)s) and relkind in ('r', 'p', 'v', 'm') and relname not like '%%\\_\\_dbt\\_%%'
  and to_regclass(format('%%I.%%I', %(prefix)s || relnamespace::regnamespace::text, relname)) is null
"""
_OLDER_READERS = """
select count(*) from pg_stat_activity
where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()
  and age(backend_xmin) > age(%s::xid)
"""
_COPY_SNAPSHOT = """
create table {shadow}.{name} as
select held.* from {live}.{name} as held
where exists (select from {raw}.log_events as event where event.event_id = held.described_by)
"""
_CLOSE_GAPS = """
update {shadow}.{name} as held set dbt_valid_to = following.valid_from
from (
    select dbt_scd_id, lead(dbt_valid_from) over (partition by product_id order by dbt_valid_from) as valid_from
    from {shadow}.{name}
) as following
where held.dbt_scd_id = following.dbt_scd_id and held.dbt_valid_to is distinct from following.valid_from
"""


def create(connection: psycopg.Connection) -> str:
    """Make an empty shadow, and drop what killed rebuilds left; its prefix. ServiceError when the swap would break somebody's view."""
    require_no_dependents(connection)
    if not drop_leftovers(connection):
        raise ServiceError(
            f"somebody still reads what an earlier rebuild left (schemas {REPLACED}…, {SHADOW}…): end that session, then again"
        )
    prefix = f"{SHADOW}{secrets.token_hex(3)}_"
    with connection.transaction():
        create_schemas(connection, (*SWAPPED, "stage", "ops"), prefix)
        # The loader's tables can be read by whoever may read the real ones; the models' only after the swap.
        for name in ("raw", "ops"):
            for statement in _grants(connection, name, prefix):
                connection.execute(statement)
        connection.execute("set local role loader")
        create_load_tables(connection, prefix)
    return prefix


def drop_leftovers(connection: psycopg.Connection) -> bool:
    """Drop shadows and what swaps put aside as soon as nobody reads it; False when somebody does for longer than a minute."""
    found = connection.execute(_LEFTOVERS, {"shadow": SHADOW, "replaced": REPLACED}).fetchall()
    if not found:
        return True
    names = sql.SQL(", ").join(sql.Identifier(name) for (name,) in found)
    return _without_waiting_long(connection, [sql.SQL("drop schema {} cascade").format(names)], _DROP_SECONDS)


def require_no_dependents(connection: psycopg.Connection) -> None:
    """ServiceError when a view outside the warehouse's schemas reads one of its tables: it would go on reading the old one."""
    found = connection.execute(_DEPENDENTS, {"swapped": list(SWAPPED), "shadow": SHADOW, "replaced": REPLACED}).fetchall()
    if found:
        raise ServiceError(f"{found[0][0]}, which a rebuild replaces: drop that view, and make it again afterwards")


def copy_snapshot(connection: psycopg.Connection, prefix: str) -> None:
    """Take the product snapshot along into the shadow, in place of what an earlier call put there.

    Versions that the lake's events do not bear out any more are left out, and the gap closed; the next dbt run adds what it finds.
    """
    if connection.execute("select to_regclass(%s)", [f"snapshots.{SNAPSHOT}"]).fetchone() == (None,):
        return
    names = {"live": "snapshots", "shadow": f"{prefix}snapshots", "raw": f"{prefix}raw", "name": SNAPSHOT}
    parts = {key: sql.Identifier(name) for key, name in names.items()}
    with connection.transaction():
        connection.execute("set local role dbt")
        for statement in (_COPY_SNAPSHOT, _CLOSE_GAPS):
            connection.execute(sql.SQL(statement).format(**parts))


def swap(connection: psycopg.Connection, prefix: str) -> None:
    """Put the shadow in the place of the warehouse, in one transaction; the caller keeps loads and dbt runs off.

    ServiceError, and nothing is changed, when there is something that the swap would lose or break.
    """
    require_no_dependents(connection)
    unknown = connection.execute(_UNKNOWN, {"modelled": list(MODELLED), "prefix": prefix}).fetchall()
    if unknown:
        raise ServiceError(f"no model makes {unknown[0][0]}, and the rebuild would lose it: drop it, or move it to a schema of your own")
    for name in SWAPPED:
        _analyze(connection, prefix + name)
    _wait_for_older_readers(connection)
    if not _without_waiting_long(connection, _swap_statements(connection, prefix), _SWAP_SECONDS):
        raise ServiceError("ops.load_manifest stayed in use, so nothing was swapped: see pg_stat_activity, then run it again")


def _swap_statements(connection: psycopg.Connection, prefix: str) -> list[sql.Composed]:
    statements: list[sql.Composed] = [sql.Composed([sql.SQL("lock table ops.load_manifest in access exclusive mode")])]
    for name in (*SWAPPED, "ops"):
        statements += _grants(connection, name, prefix)
    for name in SWAPPED:
        for old, new in ((name, REPLACED + name), (prefix + name, name)):
            statements.append(sql.SQL("alter schema {} rename to {}").format(sql.Identifier(old), sql.Identifier(new)))
    statements.append(sql.SQL("alter table ops.load_manifest set schema {}").format(sql.Identifier(f"{REPLACED}raw")))
    statements.append(sql.SQL("alter table {} set schema ops").format(sql.Identifier(f"{prefix}ops", "load_manifest")))
    return statements


def _grants(connection: psycopg.Connection, schema: str, prefix: str) -> list[sql.Composed]:
    """What gives the schema's shadow the same grants, default privileges and comment, and its tables those of their namesakes."""
    found = connection.execute(_GRANTS, {"source": schema, "target": prefix + schema}).fetchall()
    return [sql.Composed([sql.SQL(statement)]) for (statement,) in found]


def _analyze(connection: psycopg.Connection, schema: str) -> None:
    """New tables have no statistics yet, and the first reader's plan should not wait for autovacuum."""
    query = "select relname from pg_class where relnamespace = %s::regnamespace and relkind in ('r', 'p')"
    for (name,) in connection.execute(query, [schema]).fetchall():
        connection.execute(sql.SQL("analyze {}").format(sql.Identifier(schema, name)))


def _wait_for_older_readers(connection: psycopg.Connection) -> None:
    """Wait for transactions that began before the shadow was filled: to their snapshots its tables would look empty."""
    (now,) = connection.execute("select pg_current_xact_id()::xid::text").fetchone() or ("0",)
    deadline = time.monotonic() + _SWAP_SECONDS
    while connection.execute(_OLDER_READERS, [now]).fetchone() != (0,):
        if time.monotonic() > deadline:
            raise ServiceError(
                f"a transaction has been open for over {_SWAP_SECONDS} s, and would find the new tables empty, so nothing was swapped: "
                "see pg_stat_activity, then run it again"
            )
        time.sleep(_PAUSE_SECONDS)


def _without_waiting_long(connection: psycopg.Connection, statements: list[sql.Composed], seconds: float) -> bool:
    """Run the statements in one transaction that waits for no lock longer than a moment, again and again; False when the time is up.

    Readers queue behind a lock that waits, so it must not wait for long.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            with connection.transaction():
                connection.execute("select set_config('lock_timeout', %s, true)", [_LOCK_TIMEOUT])
                for statement in statements:
                    connection.execute(statement)
        except psycopg.errors.LockNotAvailable:
            if time.monotonic() > deadline:
                return False
            time.sleep(_PAUSE_SECONDS)
        else:
            return True
