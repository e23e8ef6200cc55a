"""The books of the lake's retention, on real Postgres."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest

from loglake import books, clients, erasure, retirement
from loglake.errors import BadInputError
from loglake.events import User
from loglake.retirement import Retired, RetiredDay
from tests.sample import event
from tests.stackfixture import EmbeddedStack
from tests.warehouserows import deliver, empty_warehouse

pytestmark = pytest.mark.integration
DAY = date(2026, 3, 4)
WENT = [RetiredDay(DAY, "t", 0, 5, 1, 10, 14), RetiredDay(DAY, "t", 1, 2, 0, 3, 9), RetiredDay(DAY + timedelta(1), "t", 0, 3, 0, 15, 17)]
MINUTE = timedelta(minutes=1)
_LOAD = "insert into ops.load_manifest values (%s, %s, %s, %s, %s, 1, 10, 10, 0, 0)"


@pytest.fixture
def warehouse(postgres: EmbeddedStack) -> Iterator[str]:
    assert postgres.runtime.exists()
    with empty_warehouse("retirement_test") as name:
        yield name


@pytest.fixture
def connection(warehouse: str) -> Iterator[psycopg.Connection]:
    with clients.postgres("loader", warehouse) as loader:
        yield loader


def retired(connection: psycopg.Connection, at: datetime, *days: RetiredDay) -> None:
    retirement.finish(connection, retirement.book(connection, days)[0], at)


def test_a_retirement_counts_when_it_is_finished_and_is_open_until_then(connection: psycopg.Connection) -> None:
    began = datetime.now(UTC)
    first, token = retirement.book(connection, WENT)
    ((open_id, known_by, booked_at, days),) = retirement.unfinished(connection)
    assert (open_id, known_by, days) == (first, token, [DAY, DAY + timedelta(1)])
    assert booked_at >= began
    assert retirement.by_partition(connection) == {}
    assert retirement.open_since(connection, datetime.now(UTC)) == 1

    # noted only now, though it was gone before
    retirement.finish(connection, first, began - MINUTE)

    assert retirement.unfinished(connection) == []
    assert retirement.by_partition(connection) == {("t", 0): Retired(8, ((10, 14), (15, 17))), ("t", 1): Retired(2, ((3, 9),))}
    # what was read before it was finished may still hold its records
    assert (retirement.open_since(connection, began), retirement.open_since(connection, datetime.now(UTC))) == (1, 0)


def test_a_booking_is_taken_back_whole(connection: psycopg.Connection) -> None:
    retirement.withdraw(connection, retirement.book(connection, WENT)[0])
    assert retirement.unfinished(connection) == []
    assert retirement.by_partition(connection, unfinished=True) == {}


def test_the_books_count_what_was_retired_since_the_last_full_load_and_before_the_last_load(connection: psycopg.Connection) -> None:
    now = datetime.now(UTC)
    assert books.loaded_rows(connection).lake_retired == 0
    retired(connection, now - 9 * MINUTE, WENT[0])
    connection.execute(_LOAD, [1, None, 11, now - 8 * MINUTE, now - 7 * MINUTE])
    retired(connection, now - 6 * MINUTE, WENT[1])
    connection.execute(_LOAD, [2, 11, 12, now - 5 * MINUTE, now - 4 * MINUTE])
    retired(connection, now - 3 * MINUTE, WENT[2])
    # a backfill reads the snapshot that the last load ended at, as it was then
    connection.execute(_LOAD, [3, 12, 12, now - 2 * MINUTE, now - MINUTE])
    loaded = books.loaded_rows(connection)
    assert (loaded.lake_retired, loaded.lake_retired_before, loaded.lake_retired_rejected) == (5, 2, 0)
    assert (loaded.rows_since_full, loaded.rows_at_load) == (20, 18)
    # a load of the whole lake begins anew
    connection.execute(_LOAD, [4, None, 13, now, now])
    assert books.loaded_rows(connection).lake_retired == 0


def test_a_rebuild_has_to_be_told_that_it_may_lose_what_only_the_warehouse_holds(connection: psycopg.Connection) -> None:
    retired(connection, datetime.now(UTC) - MINUTE, WENT[0])
    retirement.require_accepted_loss(connection, accepted=False)
    connection.execute(_LOAD, [1, None, 11, datetime.now(UTC) - MINUTE / 2, datetime.now(UTC) - MINUTE / 2])
    retirement.require_accepted_loss(connection, accepted=False)
    retired(connection, datetime.now(UTC), WENT[2])
    with pytest.raises(BadInputError, match=r"3 records up to 2026-03-05 that the warehouse still holds.*--lose-retired"):
        retirement.require_accepted_loss(connection, accepted=False)
    retirement.require_accepted_loss(connection, accepted=True)


def test_a_day_that_is_only_booked_may_be_gone_from_the_lake_already(connection: psycopg.Connection) -> None:
    connection.execute(_LOAD, [1, None, 11, datetime.now(UTC) - MINUTE, datetime.now(UTC) - MINUTE])
    retirement.book(connection, WENT)
    with pytest.raises(BadInputError, match="10 records"):
        retirement.require_accepted_loss(connection, accepted=False)


def test_of_a_person_whom_the_lake_has_retired_the_warehouse_still_knows(warehouse: str) -> None:
    # offsets 1000 and 1001 of partition 0, and of partition 1 for the reject
    deliver(warehouse, 1, [event(1), event(2, user=User(user_id="u2"))], rejected=1)
    needles = [b'"u1"']
    with clients.postgres("postgres", warehouse) as admin:
        admin.execute("update raw.rejected_events set payload = %s", [b'{"user": "u1"'])
        assert erasure.in_warehouse(admin, [], "u1", needles) == ((0, 0), None)
        retired(
            admin, datetime.now(UTC), RetiredDay(DAY, "LogEvents", 0, 2, 0, 1000, 1001), RetiredDay(DAY, "LogEvents", 1, 1, 1, 1000, 1000)
        )
        counts, newest = erasure.in_warehouse(admin, [], "u1", needles)
        assert (counts, newest is not None) == ((1, 1), True)
        assert erasure.in_warehouse(admin, [], "nobody", [b'"nobody"']) == ((0, 0), None)
        # whom raw does not know any more either, a mart may
        admin.execute("create table marts.dim_users (user_id text); insert into marts.dim_users values ('u3')")
        counts, newest = erasure.in_warehouse(admin, [], "u3", [b'"u3"'])
        assert (counts, newest is not None) == ((0, 0), True)
