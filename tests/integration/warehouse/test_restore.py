"""A backfill's transaction on real Postgres: what raw lost comes back where it belongs, and the books add up again."""

from collections.abc import Iterator

import pytest

from loglake import clients, events, validate
from loglake.events import Event
from spark_jobs import merge
from spark_jobs.restore import Restored, restore
from tests.integration.warehouse.test_merge import merged, query, stage
from tests.sample import event
from tests.stackfixture import EmbeddedStack
from tests.warehouserows import empty_warehouse

pytestmark = pytest.mark.integration
_EVENTS = "select right(event_id::text, 1)::int, load_id from raw.log_events order by 1"
_BOOKS = "select load_id, rows_read, rows_inserted, rows_duplicate, rows_rejected from ops.load_manifest order by 1"
_SUMS = """
select sum(rows_inserted)::int - (select count(*) from raw.log_events), sum(rows_rejected)::int - (select count(*) from raw.rejected_events)
from ops.load_manifest
"""
FIRST, SECOND = [*map(event, (1, 2, 3))], [*map(event, (3, 4, 5))]


def payloads(values: list[Event]) -> list[bytes]:
    return [*(events.encode(value) for value in values), b"{"]


@pytest.fixture
def database(postgres: EmbeddedStack) -> Iterator[str]:
    """Two loads of three events and a reject each, one of them a duplicate. The marts have read the first one."""
    assert postgres.runtime.exists()
    with empty_warehouse("restore_test") as name:
        merged(name, 1, stage(name, "a", payloads(FIRST), 0))
        merged(name, 2, stage(name, "b", payloads(SECOND), 10))
        with clients.postgres("postgres", name) as admin:
            admin.execute("set role dbt")
            admin.execute("create table marts.fact_event as select event_id as event_sk, load_id from raw.log_events where load_id = 1")
            admin.execute("reset role")
            admin.execute("update ops.load_manifest set snapshot_from = 1 where load_id = 2")
        yield name


def lose(database: str, condition: str) -> None:
    with clients.postgres("postgres", database) as admin:
        admin.execute(f"delete from raw.log_events where {condition}".encode())


def backfill(database: str, load_id: int, *, dry_run: bool = False) -> Restored:
    """A backfill of the whole lake."""
    staged = stage(database, "c", payloads(FIRST), 0), stage(database, "d", payloads(SECOND), 10)
    manifest = {"load_id": load_id, "snapshot_from": 2, "snapshot_to": 2, "started_at": "now", "files_read": 2}
    with clients.postgres("loader", database) as loader:
        found = restore(loader, staged, manifest, dry_run=dry_run)
        merge.drop_leftovers(loader)
    return found


def test_what_the_marts_have_comes_back_under_its_load_and_the_rest_is_new_to_them(database: str) -> None:
    lose(database, "right(event_id::text, 1)::int in (1, 4)")
    assert query(database, _SUMS) == [(2, 0)]
    assert backfill(database, 3) == Restored(8, 2, 1, 0)
    assert query(database, _EVENTS) == [(1, 1), (2, 1), (3, 1), (4, 3), (5, 2)]
    # the load that lost event 4 counts it as a duplicate now
    assert query(database, _BOOKS) == [(1, 4, 3, 0, 1), (2, 4, 1, 2, 1), (3, 8, 1, 7, 0)]
    assert query(database, _SUMS) == [(0, 0)]
    with clients.postgres("monitor", database) as monitor:
        assert validate.unbalanced(monitor) == []


def test_a_rejected_record_comes_back_too(database: str) -> None:
    with clients.postgres("postgres", database) as admin:
        admin.execute('delete from raw.rejected_events where "offset" = 13')
    assert backfill(database, 3) == Restored(8, 0, 0, 1)
    assert query(database, 'select "offset", load_id from raw.rejected_events order by 1') == [(3, 1), (13, 3)]
    assert query(database, _BOOKS) == [(1, 4, 3, 0, 1), (2, 4, 2, 2, 0), (3, 8, 0, 7, 1)]
    assert query(database, _SUMS) == [(0, 0)]


def test_where_nothing_lacks_nothing_is_changed(database: str) -> None:
    before = query(database, _BOOKS), query(database, _EVENTS)
    assert backfill(database, 3) == Restored(8, 0, 0, 0)
    assert (query(database, _BOOKS), query(database, _EVENTS)) == before
    assert query(database, "select tablename from pg_tables where schemaname = 'stage'") == []


def test_a_dry_run_says_what_lacks_and_changes_nothing(database: str) -> None:
    lose(database, "load_id = 1")
    before = query(database, _BOOKS), query(database, _EVENTS)
    assert backfill(database, 3, dry_run=True) == Restored(8, 3, 3, 0)
    assert (query(database, _BOOKS), query(database, _EVENTS)) == before
    assert query(database, "select tablename from pg_tables where schemaname = 'stage'") == []


def test_an_event_that_no_load_had_brought_is_booked_as_new(database: str) -> None:
    with clients.postgres("postgres", database) as admin:
        admin.execute("delete from raw.log_events where load_id = 2")
        admin.execute("update ops.load_manifest set rows_inserted = 0, rows_duplicate = 3 where load_id = 2")
    assert query(database, _SUMS) == [(0, 0)]
    assert backfill(database, 3) == Restored(8, 2, 0, 0)
    assert query(database, _BOOKS) == [(1, 4, 3, 0, 1), (2, 4, 0, 3, 1), (3, 8, 2, 6, 0)]
    assert query(database, _SUMS) == [(0, 0)]
