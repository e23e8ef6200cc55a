"""Upgrades on real Postgres: a warehouse of the first release becomes the one that this release makes, and loses no row."""

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from psycopg import sql

from loglake import clients, raw_columns, upgrades, validate, warehouse
from loglake.errors import SchemaError, ServiceError
from loglake.settings import settings
from loglake.warehouse import RAW_COLUMNS
from tests.sample import event, event_id
from tests.stackfixture import EmbeddedStack
from tests.waiting import wait_for
from tests.warehouserows import deliver, empty_warehouse, fresh_database

pytestmark = pytest.mark.integration
FIRST_RELEASE = Path(__file__).parents[2] / "data" / "schema-0.1.0.sql"
NAME = "upgrade_test"
#: What the first release's load would have left: two events, one in a partition of its month, a reject, their books, an erasure.
_ROWS = """
create table raw.log_events_2026_03 (like raw.log_events including all);
alter table raw.log_events attach partition raw.log_events_2026_03
    for values from ('019ca68d-6800-0000-0000-000000000000') to ('019d462f-0800-0000-0000-000000000000');
alter table raw.log_events_2026_03 owner to loader;
insert into raw.log_events (event_id, schema_version, event_type, event_ts, sent_at, service, level, session_id, user_city,
                            topic, partition, "offset", kafka_timestamp, ingested_at, load_id)
select id, 1, 'logout', now(), now(), 'web', 'INFO', 's1', 'Köln', 'LogEvents', 0, number, now(), now(), 1
from unnest(%(ids)s::uuid[]) with ordinality as told (id, number);
insert into raw.rejected_events values ('LogEvents', 1, 7, now(), now(), 'empty: 0 bytes', '', 1);
insert into ops.load_manifest values (1, null, 11, now(), now(), 1, 3, 2, 0, 1);
insert into ops.erasure (subject, newest_record, started_at) values ('pseudonym', now(), now());
insert into vault.pseudonym_key values ('inner', 'outer');
"""
IDS = [event_id(1), "00000000-0000-7000-8000-000000000001"]
#: Everything of the schema that a reader, a writer or an administrator could tell, one line each; but for the order of columns.
_SHAPE = """
select format('schema %s %s %s', nspname, nspowner::regrole, nspacl) from pg_namespace where nspname = any(%(schemas)s)
union all
select format('relation %s %s %s %s %s', oid::regclass, relkind, relowner::regrole,
              (select string_agg(acl::text, ',' order by acl::text) from unnest(relacl) as acl), obj_description(oid, 'pg_class'))
from pg_class where relnamespace::regnamespace::text = any(%(schemas)s) and relname !~ '_\\d{4}_\\d\\d'
union all
select format('column %s.%s %s %s %s %s', attrelid::regclass, attname, format_type(atttypid, atttypmod), attnotnull, attidentity,
              col_description(attrelid, attnum))
from pg_attribute join pg_class on attrelid = pg_class.oid
where relnamespace::regnamespace::text = any(%(schemas)s) and attnum > 0 and not attisdropped and relkind in ('r', 'p')
    and relname !~ '_\\d{4}_\\d\\d'
union all
select format('constraint %s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid)) from pg_constraint
where connamespace::regnamespace::text = any(%(schemas)s) and conrelid::regclass::text !~ '_\\d{4}_\\d\\d'
union all
select format('index %s', pg_get_indexdef(indexrelid)) from pg_index join pg_class on indexrelid = pg_class.oid
where relnamespace::regnamespace::text = any(%(schemas)s) and indexrelid::regclass::text !~ '_\\d{4}_\\d\\d'
union all
select format('default %s %s %s', defaclnamespace::regnamespace, defaclrole::regrole, defaclacl) from pg_default_acl
union all
select format('function %s %s %s', oid::regprocedure, proacl, prosrc) from pg_proc where pronamespace::regnamespace::text = 'vault'
order by 1
"""
_HELD = """
select (select array_agg(event_id::text || user_city || load_id order by event_id) from raw.log_events),
       (select count(*) from raw.rejected_events), (select to_jsonb(m) - 'kind' from ops.load_manifest as m),
       (select subject from ops.erasure), (select inner_pad from vault.pseudonym_key)
"""


def shape(connection: psycopg.Connection) -> list[str]:
    return [line for (line,) in connection.execute(_SHAPE.replace("%s", "%%s"), {"schemas": [*warehouse.SCHEMAS, "vault"]}).fetchall()]


def held(connection: psycopg.Connection) -> tuple[Any, ...]:
    return connection.execute(_HELD).fetchall()[0]


def newest() -> str:
    return upgrades.revisions()[-1]


@pytest.fixture
def current(postgres: EmbeddedStack) -> Iterator[list[str]]:
    """The shape of a warehouse that this release made."""
    assert postgres.runtime.exists()
    with empty_warehouse(f"{NAME}_current") as name, clients.postgres("postgres", name) as admin:
        yield shape(admin)


@pytest.fixture
def old(postgres: EmbeddedStack) -> Iterator[psycopg.Connection]:
    """The superuser in a warehouse of the first release, with rows."""
    assert postgres.runtime.exists()
    with fresh_database(NAME) as server:
        warehouse.create_roles(server, settings().postgres, ("loader", "dbt", "monitor", "bi_reader"))
        warehouse.create_database(server, NAME, "postgres")
        with clients.postgres("postgres", NAME) as admin:
            admin.execute(FIRST_RELEASE.read_text().encode())
            admin.execute("set search_path to default")
            with psycopg.ClientCursor(admin) as cursor:
                cursor.execute(_ROWS, {"ids": IDS})
            yield admin


def test_a_warehouse_of_the_first_release_becomes_that_of_this_one_and_keeps_its_rows(old: psycopg.Connection, current: list[str]) -> None:
    before, rows = shape(old), held(old)
    assert (upgrades.version(old), rows[0]) == (None, [f"{IDS[1]}Köln1", f"{IDS[0]}Köln1"])

    applied = upgrades.bring_up_to_date(NAME)

    assert applied == upgrades.revisions()
    assert upgrades.version(old) == newest()
    assert shape(old) == current != before
    assert held(old) == rows
    assert validate.unbalanced(old) == []
    with pytest.raises(psycopg.errors.CheckViolation, match="counts_not_negative"):
        deliver(NAME, 2, [], rejected=-1)
    # and again: there is nothing to do
    assert upgrades.bring_up_to_date(NAME) == []
    assert shape(old) == current


def test_a_new_warehouse_is_of_the_newest_version_and_alembic_agrees_which_that_is(postgres: EmbeddedStack) -> None:
    assert postgres.runtime.exists()
    with fresh_database(NAME) as server:
        warehouse.create_database(server, NAME, "postgres")
        assert upgrades.bring_up_to_date(NAME) == []
        with clients.postgres("monitor", NAME) as connection:
            assert upgrades.version(connection) == newest()
    config = Config()
    config.set_main_option("script_location", str(upgrades.SCRIPTS))
    script = ScriptDirectory.from_config(config)
    assert [revision.revision for revision in script.walk_revisions()][::-1] == upgrades.revisions()


def test_a_warehouse_of_a_newer_release_is_refused(old: psycopg.Connection) -> None:
    upgrades.bring_up_to_date(NAME)
    old.execute("update ops.schema_version set version_num = '9999'")
    before = shape(old)

    with pytest.raises(SchemaError, match=f"upgrade_test has schema version 9999, this release knows up to {newest()}: run the newer"):
        upgrades.bring_up_to_date(NAME)

    assert shape(old) == before


def test_a_revision_that_fails_changes_nothing(old: psycopg.Connection) -> None:
    old.execute("insert into ops.load_manifest values (2, 11, 12, now(), now(), 1, 0, 1, -1, 0)")
    before = shape(old)

    with pytest.raises(ServiceError, match=r"could not be upgraded \(check constraint \"counts_not_negative\".*, and is as it was"):
        upgrades.bring_up_to_date(NAME)

    assert (shape(old), upgrades.version(old)) == (before, None)
    old.execute("delete from ops.load_manifest where load_id = 2")
    assert upgrades.bring_up_to_date(NAME) == upgrades.revisions()


def test_an_upgrade_that_is_killed_midway_changes_nothing_and_can_be_run_again(old: psycopg.Connection, current: list[str]) -> None:
    before, failed = shape(old), list[Exception]()
    waiting = "select pid from pg_stat_activity where datname = %s and wait_event_type = 'Lock' and query ~ 'counts_not_negative'"

    def upgrade() -> None:
        try:
            upgrades.bring_up_to_date(NAME)
        except ServiceError as error:
            failed.append(error)

    with old.transaction():
        # given an upgrade that has written its version and waits for a table
        old.execute("lock table ops.load_manifest in share mode")
        thread = threading.Thread(target=upgrade)
        thread.start()
        with clients.postgres("postgres", NAME) as watcher:
            [(pid,)] = wait_for("the upgrade to wait", lambda: watcher.execute(waiting, [NAME]).fetchall())
            # when its session dies, as it does with its process
            watcher.execute("select pg_terminate_backend(%s)", [pid])
        thread.join()

    assert [re.search(r"could not be upgraded .*terminating connection", str(error)) is not None for error in failed] == [True]
    assert (shape(old), upgrades.version(old)) == (before, None)
    upgrades.bring_up_to_date(NAME)
    assert shape(old) == current


def test_a_new_field_of_the_contract_becomes_a_column_and_the_next_load_fills_it(old: psycopg.Connection, current: list[str]) -> None:
    old.execute("alter table raw.log_events drop column user_city, drop column product_price, drop column order_items")

    upgrades.bring_up_to_date(NAME)

    assert shape(old) == current
    assert old.execute("select count(*), count(user_city) from raw.log_events").fetchall() == [(2, 0)]
    targets = sql.SQL(", ").join(sql.Identifier(column.name) for column in RAW_COLUMNS)
    with empty_warehouse(f"{NAME}_source") as source:
        deliver(source, 2, [event(5)])
        with clients.postgres("postgres", source) as other:
            row = other.execute(sql.SQL("select {} from raw.log_events").format(targets)).fetchall()[0]
    places = sql.SQL(", ").join([sql.Placeholder()] * len(row))
    old.execute(sql.SQL("insert into raw.log_events ({}, load_id) values ({}, 2)").format(targets, places), row)
    assert old.execute("select user_city, product_price::text from raw.log_events where load_id = 2").fetchall() == [("Köln", "12.50")]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("add column user_shoe_size integer", "user_shoe_size of raw.log_events is not in the contract: columns are only ever added"),
        ("alter column user_age type bigint", "user_age of raw.log_events is bigint, the contract says integer: .* another name"),
        ("alter column product_rating type numeric(4, 2)", r"product_rating of .* is numeric\(4,2\), the contract says numeric\(3, 2\)"),
        ("drop column session_id", "session_id of raw.log_events is new and not optional"),
    ],
)
def test_a_contract_that_changed_in_another_way_is_refused(old: psycopg.Connection, change: str, told: str) -> None:
    old.execute(f"alter table raw.log_events {change}".encode())

    with pytest.raises(SchemaError, match=told):
        upgrades.bring_up_to_date(NAME)

    assert old.execute("select count(*) from raw.log_events").fetchall() == [(2,)]


@pytest.mark.parametrize("version", [None, "newest"])
def test_a_new_column_waits_for_a_long_reader_only_so_long(
    old: psycopg.Connection, version: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if version:
        upgrades.bring_up_to_date(NAME)
    old.execute("alter table raw.log_events drop column user_city")
    monkeypatch.setattr(raw_columns, "LOCK_TIMEOUT", "100ms")
    state = "is as it was" if version else f"is at version {newest()} without the new columns"

    with clients.postgres("postgres", NAME, autocommit=False) as reader:
        reader.execute("select count(*) from raw.log_events")
        with pytest.raises(ServiceError, match=rf"could not be upgraded \(canceling statement due to lock timeout.*\), and {state}"):
            upgrades.bring_up_to_date(NAME)

    assert upgrades.version(old) == newest()
    assert upgrades.bring_up_to_date(NAME) == []
    old.execute("select user_city from raw.log_events")


def test_a_load_that_is_writing_is_waited_for(old: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    upgrades.bring_up_to_date(NAME)
    monkeypatch.setattr(raw_columns, "LOCK_TIMEOUT", "1ms")
    done = threading.Thread(target=upgrades.bring_up_to_date, args=[NAME])
    waiting = "select 1 from pg_stat_activity where datname = %s and wait_event_type = 'Lock' and query ~ 'create index'"

    with old.transaction():
        old.execute("update raw.log_events set load_id = 1")
        done.start()
        with clients.postgres("postgres", NAME) as watcher:
            wait_for("the upgrade to wait", lambda: watcher.execute(waiting, [NAME]).fetchall())
    done.join(timeout=60)

    assert not done.is_alive()
