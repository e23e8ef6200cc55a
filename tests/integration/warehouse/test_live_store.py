"""The live tables on real Postgres: a batch is written whole or not at all, and what was written is what the stream goes on with."""

import time
import uuid
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from consumers import live_store
from consumers.live_rows import LiveRow
from consumers.live_store import Batch, Position, moment
from consumers.live_windows import SECOND, Windows
from loglake import clients, erasure, live, validate
from loglake.erasure import Position as Place
from loglake.errors import ServiceError
from tests.stackfixture import EmbeddedStack
from tests.warehouserows import empty_warehouse

pytestmark = pytest.mark.integration
T = 1_800_000_000 * SECOND
LATENESS = 30 * SECOND
_ALL = {name: f"select * from {name} order by 1, 2" for name in live.TABLES if name != "live.stream_state"}


@pytest.fixture(scope="module")
def database(postgres: EmbeddedStack) -> Iterator[str]:
    assert postgres.runtime.exists()
    with empty_warehouse("live_test") as name:
        yield name


@pytest.fixture
def tables(database: str) -> Iterator[psycopg.Connection]:
    """The stream's connection; its tables are empty."""
    with clients.postgres("loader", database) as connection:
        live_store.reset(connection, Position("t", "id", {0: 0}))
        yield connection


def row(offset: int, at: float, **values: Any) -> LiveRow:
    given = {"event_type": "login", "session_id": f"s{offset}", "payload": "{}", "received": T + int(at * SECOND), **values}
    return LiveRow("t", 0, offset, event_id=str(uuid.UUID(int=offset)), event_time=T + int(at * SECOND), **given)


def send(tables: psycopg.Connection, windows: Windows, *rows: LiveRow, floor: int = 0, kept: int = 100) -> None:
    before = dict(windows.next_offsets)
    fold = windows.fold(rows, floor)
    live_store.write(tables, windows, Batch("q", rows[0].offset, fold, before, floor, list(rows[-kept:]), kept, time.monotonic()))


def again(tables: psycopg.Connection) -> Windows:
    """The state as a new process reads it."""
    known = live_store.position(tables)
    assert known is not None
    return live_store.load(tables, LATENESS, known.next_offsets)


def started() -> Windows:
    return Windows(LATENESS, next_offsets={0: 0})


def held(tables: psycopg.Connection) -> dict[str, list[tuple[Any, ...]]]:
    """Every row but for when it was written."""
    found = {name: tables.execute(query.encode()).fetchall() for name, query in _ALL.items()}
    found["live.window_total"] = [line[:-1] for line in found["live.window_total"]]
    return found


def count(tables: psycopg.Connection, dimension: str, width: int = 10) -> dict[str, int]:
    query = "select key, events from live.window_count where width_seconds = %s and window_start = %s and dimension = %s"
    return dict(tables.execute(query, [width, moment(T), dimension]).fetchall())


def test_a_batch_fills_every_table_and_the_monitor_reads_it(tables: psycopg.Connection, database: str) -> None:
    order = {"payment_method": "card", "currency": "EUR", "amount": Decimal("12.50"), "latency_ms": 40}
    reject = LiveRow("t", 0, 3, T + 6 * SECOND, reject_reason="empty: 0 bytes", payload="")
    send(
        tables, started(), row(0, 5, user_id="u1", country="Chile", city="Chile/Arica", device="tv"), row(1, 5, **order), row(2, 6), reject
    )
    with clients.postgres("monitor", database) as monitor:
        total = (
            "select events, users, sessions, orders, errors, latency_p50_ms, latency_p99_ms from live.window_total where window_start = %s"
        )
        assert monitor.execute(total, [moment(T)]).fetchall() == [(3, 1, 3, 1, 0, 40.0, 40.0)] * 2
        assert monitor.execute("select width_seconds, count(*) from live.window_total group by 1 order by 1").fetchall() == [
            (10, 1),
            (60, 6),
        ]
        revenue = "select payment_method, currency, orders, revenue from live.window_revenue where width_seconds = 10"
        assert monitor.execute(revenue).fetchall() == [("card", "EUR", 1, Decimal("12.50"))]
        assert count(monitor, "city") == {"Chile/Arica": 1}
        latest = 'select "offset", event_time is null, city, user_id, reject_reason from live.latest_event order by 1'
        assert monitor.execute(latest).fetchall() == [
            (0, False, "Arica", "u1", None),
            (1, False, None, None, None),
            (2, False, None, None, None),
            (3, True, None, None, "empty: 0 bytes"),
        ]
        state = "select next_offsets, batch_rows, batch_rejected, watermark from live.stream_state"
        assert monitor.execute(state).fetchall() == [({"0": 4}, 4, 1, moment(T - 24 * SECOND))]
        assert validate.validate_warehouse(monitor) == []


def test_a_new_process_goes_on_and_ends_with_the_same_rows(tables: psycopg.Connection) -> None:
    batches = [
        [row(number, number / 2, product=f"p{number % 3}", user_id=f"u{number}", latency_ms=number) for number in span]
        for span in (range(9), range(9, 40))
    ]
    windows = started()
    for batch in batches:
        send(tables, windows, *batch)
    expected = held(tables)
    live_store.reset(tables, Position("t", "id", {0: 0}))
    for batch in batches:
        send(tables, again(tables), *batch)
    # The order of texts in a sketch is no matter.
    assert {**held(tables), "live.pane": []} == {**expected, "live.pane": []}
    read = again(tables)
    assert {start: sorted(pane.values()) for start, pane in read.panes.items()} == {
        start: sorted(pane.values()) for start, pane in windows.panes.items()
    }
    assert (read.newest, read.watermark, read.least, read.seen) == (windows.newest, windows.watermark, windows.watermark, windows.seen)


def test_a_batch_that_comes_again_and_a_resent_event_change_nothing(tables: psycopg.Connection) -> None:
    batch = [row(0, 5), row(1, 6)]
    send(tables, started(), *batch)
    before = held(tables)
    windows = again(tables)
    send(tables, windows, *batch)
    assert held(tables) == before
    send(tables, windows, row(2, 5)._replace(event_id=batch[0].event_id))
    assert {name: rows for name, rows in held(tables).items() if name != "live.latest_event"} == {
        name: rows for name, rows in before.items() if name != "live.latest_event"
    }
    assert tables.execute("select batch_repeated from live.stream_state").fetchall() == [(1,)]


def test_a_batch_that_fails_midway_has_not_happened(tables: psycopg.Connection) -> None:
    send(tables, started(), row(0, 5))
    before = held(tables)
    windows = again(tables)
    with pytest.raises(psycopg.errors.Error):
        send(tables, windows, row(1, 5), row(2, 5, user_id="\0"))
    assert (held(tables), again(tables).next_offsets) == (before, {0: 1})


def test_two_streams_never_write_the_same(tables: psycopg.Connection) -> None:
    one, two = started(), started()
    send(tables, one, row(0, 5))
    before = held(tables)
    with pytest.raises(ServiceError, match="not as this stream left them"):
        send(tables, two, row(0, 5))
    assert held(tables) == before


def test_late_events_add_up_by_minute(tables: psycopg.Connection) -> None:
    windows = started()
    send(tables, windows, row(0, 100))
    send(tables, windows, row(1, 5, received=T + 100 * SECOND))
    send(tables, windows, row(2, 6, received=T + 110 * SECOND), row(3, 6, received=T + 120 * SECOND))
    found = tables.execute("select minute, events from live.late_count order by 1").fetchall()
    assert found == [(moment(T + 60 * SECOND), 2), (moment(T + 120 * SECOND), 1)]
    assert tables.execute("select batch_late from live.stream_state").fetchall() == [(2,)]


def test_what_is_no_longer_among_the_most_frequent_goes(tables: psycopg.Connection) -> None:
    windows = started()
    send(tables, windows, *(row(number, 5, product=f"p{number:02}") for number in range(20)))
    send(tables, windows, *(row(20 + number, 5, product="new") for number in range(2)))
    assert count(tables, "product") == {"new": 2, **{f"p{number:02}": 1 for number in range(19)}}


def test_the_longest_keys_that_the_contract_allows_fit(tables: psycopg.Connection) -> None:
    longest = "😀" * 64 + "/" + "😀" * 256
    send(tables, started(), row(0, 5, city=longest, search="😀" * 200, product="😀" * 200))
    assert count(tables, "city") == {longest: 1}


def test_the_newest_records_are_kept_and_no_more(tables: psycopg.Connection) -> None:
    windows = started()
    send(tables, windows, *(row(number, 1) for number in range(8)), kept=5)
    send(tables, windows, row(8, 1), row(9, 2), kept=5)
    assert tables.execute('select "offset" from live.latest_event order by 1').fetchall() == [(5,), (6,), (7,), (8,), (9,)]


def test_an_erased_record_does_not_come_back(tables: psycopg.Connection, database: str) -> None:
    windows = started()
    send(tables, windows, row(0, 5, user_id="u1"), row(1, 5), row(2, 5, user_id="u2"))
    with clients.postgres("postgres", database) as admin:
        erasure.book(admin, "u1", [Place("t", 0, 1), Place("t", 0, 3)], moment(T))
        # the person's, also where the lake does not have it yet, and what is booked
        assert live.forget(admin, "u1") == 2
        erasure.finish(admin, erasure.unfinished(admin).ids)
    send(tables, windows, row(3, 6), row(4, 6))
    assert tables.execute('select "offset" from live.latest_event order by 1').fetchall() == [(2,), (4,)]


def test_old_windows_and_panes_go(tables: psycopg.Connection) -> None:
    windows = started()
    send(tables, windows, row(0, 5), row(1, 200))
    send(tables, windows, row(2, 201))
    assert tables.execute("select distinct pane_start from live.pane union select pane_start from live.pane_event").fetchall() == [
        (moment(T + 200 * SECOND),)
    ]
    live_store.remove_old(tables, moment(T) + timedelta(seconds=150))
    for name in ("window_total", "window_count"):
        found = tables.execute(f"select min(window_start) from live.{name}".encode()).fetchall()
        assert found == [(moment(T + 150 * SECOND),)]
