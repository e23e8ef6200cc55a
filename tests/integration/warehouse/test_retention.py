"""Months of raw that are dropped by age, on real Postgres: booked, never before the models have them, and never counted twice."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime

import pytest

from loglake import clients, retention, upkeep
from loglake.errors import LoadInProgressError, ServiceError
from loglake.events import Event
from loglake.metrics import sources
from loglake.models import FULL_TESTS, run_dbt
from loglake.settings import settings
from loglake.warehouse import MODEL_LOCK_KEY, REBUILD_LOCK_KEY
from tests.integration.warehouse.test_merge import encoded, merged, query, stage
from tests.sample import event, order
from tests.stackfixture import EmbeddedStack
from tests.starloads import TYPE_OF, build
from tests.waiting import wait_for
from tests.warehouserows import empty_warehouse

pytestmark = pytest.mark.integration
JANUARY, FEBRUARY = (datetime(2026, month, 5, tzinfo=UTC) for month in (1, 2))
#: With two months beside the current one to be kept, January is due and February is not.
TODAY = date(2026, 4, 30)
_WAITING = "select count(*) from pg_locks where locktype = 'advisory' and objid = %s and not granted"


def order_event(number: int, moment: datetime, order_id: str, status: str) -> Event:
    return event(number, event_ts=moment, event_type=TYPE_OF[status], product=None, order=order(order_id, status))


@pytest.fixture(scope="module")
def database(postgres: EmbeddedStack) -> Iterator[str]:
    """Three loads: January and February, February, March; two months are to be kept. One order is January's, one of both months."""
    assert postgres.runtime.exists()
    with pytest.MonkeyPatch.context() as patch, empty_warehouse("retention_test") as name:
        patch.setenv("LOGLAKE_MAINTENANCE_RAW_MONTHS", "2")
        settings.cache_clear()
        first = (order_event(0, JANUARY, "o1", "completed"), event(1, event_ts=JANUARY), order_event(2, JANUARY, "o2", "requested"))
        merged(name, 1, stage(name, "a", encoded(*first, order_event(3, FEBRUARY, "o2", "completed")), 0))
        merged(name, 2, stage(name, "b", encoded(event(4, event_ts=FEBRUARY)), 10))
        merged(name, 3, stage(name, "c", encoded(event(5)), 20))
        yield name
    settings.cache_clear()


def retire(database: str, *, dry_run: bool = False) -> tuple[float, float, float]:
    facts = retention.retire(dry_run=dry_run, database=database, today=TODAY).facts
    return facts["months"], facts["rows"], facts["months_left"]


def totals(database: str) -> tuple[object, ...]:
    """Rows inserted by the books, in raw, retired, and in fact_event."""
    return query(
        database,
        "select (select sum(rows_inserted) from ops.load_manifest)::int, (select count(*) from raw.log_events)::int, "
        "(select coalesce(sum(events), 0) from raw.retired_month)::int",
    )[0]


def facts(database: str) -> list[tuple[object, ...]]:
    with clients.postgres("monitor", database) as connection:
        return connection.execute("select count(*), count(distinct event_sk) from marts.fact_event").fetchall()


def test_it_waits_for_a_rebuild_and_takes_its_loads_for_true(database: str) -> None:
    assert retire(database) == (0, 0, 1)
    build(database)
    assert retire(database, dry_run=True) == (1, 3, 0)
    position = "update staging.load_position set load_id = %s where node = 'tests'"
    with clients.postgres("postgres", database) as admin, ThreadPoolExecutor() as threads:
        admin.execute("select pg_advisory_lock(%s)", [REBUILD_LOCK_KEY])
        waiting = threads.submit(retire, database)
        wait_for("retire to wait", lambda: admin.execute(_WAITING, [REBUILD_LOCK_KEY]).fetchone() == (1,))
        # as a rebuild does, whose loads are numbered anew
        admin.execute(position, [0])
        admin.execute("select pg_advisory_unlock(%s)", [REBUILD_LOCK_KEY])
        assert waiting.result() == (0, 0, 1)
        admin.execute(position, [3])
    assert totals(database) == (6, 6, 0)


def test_a_month_goes_when_the_models_have_it_and_is_booked(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "LOCK_TIMEOUT", "10ms")
    assert retire(database, dry_run=True) == (1, 3, 0)
    assert totals(database) == (6, 6, 0)
    with clients.postgres("dbt", database) as model:
        model.execute("select pg_advisory_lock(%s)", [MODEL_LOCK_KEY])
        with pytest.raises(LoadInProgressError, match=r"a dbt run .* within 10ms"):
            retire(database)
    with clients.postgres("dbt", database, autocommit=False) as reader:
        reader.execute("select count(*) from raw.log_events")
        with pytest.raises(ServiceError, match="log_events_2026_01 is being read"):
            retire(database)
    assert totals(database) == (6, 6, 0)
    assert retire(database) == (1, 3, 0)
    assert totals(database) == (6, 3, 3)
    assert query(database, "select month, events from raw.retired_month") == [(date(2026, 1, 1), 3)]
    assert facts(database) == [(6, 6)]
    # and once more there is nothing to do
    assert retire(database) == (0, 0, 0)


def test_an_event_of_a_retired_month_that_comes_again_is_a_duplicate(database: str) -> None:
    assert merged(database, 4, stage(database, "d", encoded(event(1, event_ts=JANUARY), event(6, event_ts=FEBRUARY)), 30)) == (2, 1, 1, 0)
    build(database)
    assert totals(database) == (7, 4, 3)
    assert facts(database) == [(7, 7)]
    run_dbt(FULL_TESTS, database=database)


def test_old_reports_of_the_stream_go_and_new_ones_stay(database: str) -> None:
    with clients.postgres("postgres", database) as admin:
        admin.execute(
            "insert into ops.stream_progress select 'q', n, 'r', 't', now() - n * interval '1 day', 1, 1, 0, null, '{}', 0, null "
            "from generate_series(89, 92) as n"
        )
        admin.execute("update ops.stream_progress set rows_read = batch_id, rows_rejected = 1, duration_ms = 500")
        admin.execute("insert into ops.stream_progress select 'idle', n, 'r', 'idle', now() - n * interval '1 day', 500, n, 1, null, "
                      "'{}', 0, null from generate_series(200, 201) as n")  # fmt: skip
    before = sources.warehouse(database).stream
    assert upkeep.clean_progress(dry_run=True, database=database).facts == {"rows": 4}
    assert upkeep.clean_progress(database=database).facts == {"rows": 4}
    # an idle topic's last report says how far the stream has come in it
    assert query(database, "select topic, batch_id from ops.stream_progress order by batch_id") == [("t", 89), ("idle", 200)]
    # and no counter of the end point falls
    assert (before.batches, before.seconds, before.records, before.rejected) == (6, 3.0, 89 + 90 + 91 + 92 + 200 + 201, 6)
    assert sources.warehouse(database).stream == before


def test_reports_that_go_later_are_added_to_those_that_went_before(database: str) -> None:
    before = sources.warehouse(database).stream
    with clients.postgres("postgres", database) as admin:
        admin.execute("update ops.stream_progress set finished_at = now() - interval '100 days' where topic = 't'")
        admin.execute("insert into ops.stream_progress values ('q', 1, 'r', 't', now(), 500, 7, 2, null, '{}', 0, null)")
    assert upkeep.clean_progress(database=database).facts == {"rows": 1}
    after = sources.warehouse(database).stream
    assert (after.batches, after.records, after.rejected) == (before.batches + 1, before.records + 7, before.rejected + 2)
    assert query(database, "select topic, batches::int from ops.retired_progress order by topic") == [("idle", 1), ("t", 4)]
