"""Runs of dbt on real Postgres: killed, two at once, a part of the project, nothing new, a failed test; and what a run reads."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from loglake import clients, reference
from loglake.errors import ServiceError
from loglake.models import FULL_TESTS, dbt_environment, run_dbt
from loglake.settings import child_environment
from loglake.warehouse import MODEL_LOCK_KEY
from tests.stackfixture import EmbeddedStack
from tests.starloads import LOADS, MARTS, build, login, order_event, rows
from tests.waiting import wait_for
from tests.warehouserows import copied_warehouse, deliver, empty_warehouse

pytestmark = pytest.mark.integration
SNAPSHOT = "snapshots.cdc_product"
#: One of each way a table is written: merge, append, delete and insert, snapshot.
WRITTEN = ("dim_users", "fact_event", "fact_order", "cdc_product")


@pytest.fixture(scope="module")
def original(postgres: EmbeddedStack) -> Iterator[str]:
    with empty_warehouse("models_original") as name:
        deliver(name, 1, LOADS[0])
        build(name)
        yield name


@pytest.fixture
def database(original: str) -> Iterator[str]:
    """A warehouse that holds the first of LOADS, in raw and in the marts."""
    with copied_warehouse("models", original) as name:
        yield name


def versions(database: str) -> list[list[Any]]:
    """Where each row of marts and snapshot lies and which transaction wrote it: changes whenever a row is touched."""
    tables = [f"marts.{mart}" for mart in MARTS] + [SNAPSHOT]
    return [rows(database, f"select ctid, xmin::text from {table} order by ctid") for table in tables]


@contextmanager
def dbt(database: str, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """dbt in the background, without the lock that `loglake model` and Airflow's tasks take."""
    reference.fill(database)
    command = [str(Path(sys.executable).with_name("dbt")), "--no-use-colors", *arguments]
    environment = child_environment(**dbt_environment(database))
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def locked(database: str, table_and_mode: sql.Composed | sql.SQL) -> Iterator[None]:
    """Make whoever wants the table in a mode that conflicts wait until the block ends."""
    with clients.postgres("dbt", database, autocommit=False) as connection:
        connection.execute(sql.SQL("lock table {}").format(table_and_mode))
        yield
        connection.rollback()


def waiting(database: str) -> int:
    """How many of dbt's sessions wait for a lock."""
    with clients.postgres("postgres", database) as connection:
        query = "select count(*) from pg_stat_activity where usename = 'dbt' and datname = current_database() and wait_event_type = 'Lock'"
        return int(connection.execute(query).fetchall()[0][0])


def test_a_build_with_nothing_new_touches_no_row(database: str) -> None:
    before = versions(database)

    run = build(database)

    assert versions(database) == before
    assert {node.name: node.rows for node in run.of_kind("model") if node.name in MARTS} == dict.fromkeys(MARTS, 0)


def test_what_a_killed_run_left_is_made_good_by_the_next(database: str) -> None:
    deliver(database, 2, LOADS[1])
    # when runs are killed that have written their rows, but not noted their position
    for name in WRITTEN:
        with locked(database, sql.SQL("staging.load_position in share mode")), dbt(database, "build", "--select", name) as run:
            wait_for(f"a run to write {name}", lambda run=run: run.poll() is not None or waiting(database))
            assert run.poll() is None, run.communicate()[0]
    # then the next one finds each table as it was before
    build(database)
    assert rows(database, "select count(*) from marts.fact_event") == [(len(LOADS[0] + LOADS[1]),)]
    run_dbt(FULL_TESTS, database=database)


@pytest.mark.parametrize(("table", "nodes"), [("marts.fact_event", "fact_event"), (SNAPSHOT, "stg_product_changes cdc_product")])
def test_of_two_runs_at_once_the_second_goes_on_where_the_first_ended(database: str, table: str, nodes: str) -> None:
    deliver(database, 2, LOADS[1])
    with ExitStack() as running:
        # given a run that has written its rows and is about to comment on the table, and a second one that knows of a later load
        table_and_mode = sql.SQL("{} in share update exclusive mode").format(sql.Identifier(*table.split(".")))
        with locked(database, table_and_mode):
            first = running.enter_context(dbt(database, "build", "--select", *nodes.split()))
            wait_for("the first run to write", lambda: first.poll() is not None or waiting(database) == 1)
            deliver(database, 3, LOADS[2])
            second = running.enter_context(dbt(database, "build", "--select", *nodes.split()))
            wait_for("the second run to wait for it", lambda: second.poll() is not None or waiting(database) == 2)
        # then both end well
        told = [run.communicate(timeout=300)[0] for run in (first, second)]
        assert (first.returncode, second.returncode) == (0, 0), "\n".join(told)
    assert rows(database, f"select load_id from staging.load_position where node = '{table.partition('.')[2]}'") == [(3,)]
    if table == "marts.fact_event":
        assert rows(database, "select count(*) from marts.fact_event") == rows(database, "select count(*) from raw.log_events")


def test_a_run_that_comes_after_a_later_one_reads_nothing_and_takes_nothing_back(database: str) -> None:
    deliver(database, 2, LOADS[1])
    with clients.postgres("dbt", database, autocommit=False) as later:
        # given a run that knows of the second load, and waits for one that brings the third
        later.execute("update staging.load_position set load_id = 3 where node = 'dim_users'")
        with dbt(database, "build", "--select", "dim_users") as run:
            wait_for("the run to wait", lambda: run.poll() is not None or waiting(database))
            deliver(database, 3, LOADS[2])
            later.commit()
            told = run.communicate(timeout=300)[0]
    assert run.returncode == 0, told
    assert rows(database, "select load_id from staging.load_position where node = 'dim_users'") == [(3,)]
    assert rows(database, "select max(load_id) from marts.dim_users") == [(1,)]


def test_a_run_waits_for_the_one_before_and_says_so(database: str) -> None:
    told: list[str] = []
    with clients.postgres("dbt", database) as other, ThreadPoolExecutor(1) as background:
        other.execute("select pg_advisory_lock(%s)", [MODEL_LOCK_KEY])
        run = background.submit(run_dbt, ["parse"], database=database, on_line=told.append)
        wait_for("the run to wait", lambda: waiting(database) == 1)
        assert told == ["another dbt run is in progress: waiting for it to end"]
        other.execute("select pg_advisory_unlock(%s)", [MODEL_LOCK_KEY])
        run.result(timeout=120)
    assert len(told) > 1


def test_a_mart_can_be_built_before_the_dimensions_know_its_members(database: str) -> None:
    deliver(database, 2, [order_event(30, 5, "o9", "completed", (("p77", 1, "1.00"),)), login(31, 5, "u77")])

    build(database, "--select", "fact_order", "fact_event")

    assert rows(database, "select count(*) from marts.fact_order where order_id = 'o9'") == [(1,)]
    assert rows(database, "select max(load_id) from marts.dim_users") == [(1,)]


def more_booked(loader: psycopg.Connection, number: int) -> None:
    """Make the books of the first load say so many events more than were loaded."""
    change = "update ops.load_manifest set rows_read = rows_read + %s, rows_inserted = rows_inserted + %s where load_id = 1"
    loader.execute(change, [number, number])


def test_a_failed_test_stays_failed_until_what_it_found_is_mended(database: str) -> None:
    with clients.postgres("loader", database) as loader:
        # given a fault in a load that a finished build has tested: the next build looks at new loads only
        more_booked(loader, 1)
        build(database)
        # when the marts are made anew, they are tested anew; and a build that finds nothing new must not pass for that
        for options in (["--full-refresh"], []):
            with pytest.raises(ServiceError, match="each_load_has_its_events"):
                build(database, *options)
        # then it passes once the books are right
        more_booked(loader, -1)
        build(database)


def test_raw_made_anew_is_told_from_nothing_new(database: str) -> None:
    with clients.postgres("loader", database) as loader:
        loader.execute("truncate raw.log_events, raw.rejected_events, ops.load_manifest")

    with pytest.raises(ServiceError, match="raw was made anew; run `loglake model --full-refresh`"):
        build(database)

    deliver(database, 1, LOADS[2])
    build(database, "--full-refresh")
    assert rows(database, "select count(*) from marts.fact_event") == [(len(LOADS[2]),)]


#: Every event of raw again under as many other ids.
_COPIES = """
insert into raw.log_events
select (jsonb_populate_record(r, jsonb_build_object(
    'event_id', overlay(r.event_id::text placing lpad(to_hex(n * 100 + r."offset" % 100), 12, '0') from 25),
    'user_id', r.user_id || n, 'product_id', r.product_id || n, 'order_id', r.order_id || n))).*
from raw.log_events as r cross join generate_series(100, 9000) as n
"""
#: Rows read of each table by scans of the table, and by scans of its indexes.
_READ = """
select t.relname, t.seq_tup_read, sum(i.idx_tup_read)::bigint
from pg_stat_user_tables as t join pg_stat_user_indexes as i using (relid)
where t.schemaname || '.' || t.relname = any(%s) or t.relname like 'log\\_events\\_%%'
group by 1, 2
"""


def test_a_run_reads_what_is_new_and_not_the_history(postgres: EmbeddedStack) -> None:
    tables = ["marts.dim_users", "marts.dim_product", "marts.fact_event", "marts.fact_order"]
    with empty_warehouse("models") as database, clients.postgres("postgres", database) as admin:
        # given a history
        deliver(database, 1, LOADS[0])
        copies = admin.execute(_COPIES).rowcount
        more_booked(admin, copies)
        build(database)
        admin.execute("vacuum analyze")
        admin.execute("select pg_stat_reset()")
        # when a few events come (a table that is not large yet may be scanned all the same: leave the planner no such choice)
        admin.execute("alter role dbt in database models set enable_seqscan = off")
        deliver(database, 2, LOADS[1])
        build(database)
        # then rows are looked up by an index, and few
        read = {name: (by_table, by_index) for name, by_table, by_index in admin.execute(_READ, [tables]).fetchall()}
        assert {name for name, (by_table, _) in read.items() if by_table} == set()
        assert 0 < sum(by_index for _, by_index in read.values()) < 1_000 < copies / 20, read
