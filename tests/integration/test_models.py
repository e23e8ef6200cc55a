"""The star schema on real Postgres: late, unordered and repeated deliveries, one build per load, as the DAG does it."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from psycopg import sql

from loglake import clients
from loglake.errors import ServiceError
from loglake.events import STATUS_OF, Event, Product, User
from loglake.models import FULL_TESTS, SNAPSHOT, ModelRun, run_dbt
from tests.sample import NOW, event, order
from tests.stackfixture import EmbeddedStack
from tests.warehouserows import deliver, empty_warehouse

pytestmark = pytest.mark.integration
MARTS = ("dim_users", "dim_product", "dim_date", "fact_event", "fact_order")
TEN = NOW.replace(hour=10, minute=0)
LINES = (("p1", 2, "12.50"), ("p9", 1, "0.99"))
TYPE_OF = {status: name for name, status in STATUS_OF.items()}


def at(hours: float) -> datetime:
    return TEN + timedelta(hours=hours)


def view(number: int, hours: float, price: str, **product: Any) -> Event:
    seen = Product(product_id="p1", product_name="Schuh", price=Decimal(price), **product)
    return event(number, event_ts=at(hours), product=seen)


def login(number: int, hours: float, user_id: str, **attributes: Any) -> Event:
    return event(number, event_ts=at(hours), event_type="login", product=None, user=User(user_id=user_id, **attributes))


def order_event(number: int, hours: float, order_id: str, status: str, lines: Any = LINES, **changes: Any) -> Event:
    values = {"event_type": TYPE_OF[status], "product": None, "order": order(order_id, status, lines), **changes}
    return event(number, event_ts=at(hours), **values)


#: Three loads: events of one order apart and out of order, late descriptions, a product known from an order line only, a bare event.
LOADS: tuple[tuple[Event, ...], ...] = (
    (
        login(1, 0, "u1", city="Köln"),
        view(2, 0, "12.50"),
        order_event(3, 2, "o1", "completed"),
        event(4, event_ts=at(0), event_type="error", user=None, product=None),
    ),
    (
        order_event(5, 1, "o1", "requested"),
        view(6, 2, "13.00"),
        login(7, 2, "u1", city="Bonn"),
        login(8, 3, "u1"),
        order_event(9, 3, "o2", "completed", (("p1", 1, "13.00"),)),
    ),
    (
        order_event(10, 4, "o1", "refunded", user=None),
        view(11, 1, "99.00"),
        login(12, 1, "u1", city="Late"),
        login(13, -30, "u2"),
        order_event(14, 3.5, "o2", "payment_failed", (("p1", 1, "13.00"),), user=None),
    ),
)


def build(database: str, *options: str) -> ModelRun:
    return run_dbt(["build", *options], database=database)


def rows(database: str, query: str) -> list[tuple[Any, ...]]:
    with clients.postgres("dbt", database) as connection:
        return connection.execute(query).fetchall()  # type: ignore[arg-type]


def contents(database: str, but: Sequence[str] = ()) -> dict[str, list[str]]:
    """Every row of every mart as text, without the columns in `but`."""
    query = "select (to_jsonb(t) - %s::text[])::text from marts.{} t order by 1"
    with clients.postgres("dbt", database) as connection:
        return {
            mart: [text for (text,) in connection.execute(sql.SQL(query).format(sql.Identifier(mart)), [list(but)])]  # type: ignore[arg-type]
            for mart in MARTS
        }


def versions(database: str) -> list[list[Any]]:
    """Where each row of marts and snapshot lies and which transaction wrote it: changes whenever a row is touched."""
    tables = [f"marts.{mart}" for mart in MARTS] + ["snapshots.cdc_product"]
    return [rows(database, f"select ctid, xmin::text from {table} order by ctid") for table in tables]


@pytest.fixture(scope="module")
def delivered(stack: EmbeddedStack) -> Iterator[str]:
    """A warehouse that got LOADS one by one, with a build after each."""
    with empty_warehouse("models_in_order") as database:
        for load_id, events in enumerate(LOADS, start=1):
            deliver(database, load_id, events, rejected=load_id)
            build(database)
        yield database


def test_orders_take_their_strongest_event_and_their_first_hour(delivered: str) -> None:
    found = rows(delivered, """
        select order_id, line_number, status, date_sk, quantity, amount, payment_method, user_id, product_id
        from marts.fact_order join marts.dim_users using (user_sk) join marts.dim_product using (product_sk) order by 1, 2""")  # fmt: skip

    assert found == [
        ("o1", 1, "refunded", 2026030411, 2, Decimal("25.00"), "card", "u1", "p1"),
        ("o1", 2, "refunded", 2026030411, 1, Decimal("0.99"), "card", "u1", "p9"),
        ("o2", 1, "completed", 2026030413, 1, Decimal("13.00"), "card", "u1", "p1"),
    ]


def test_dimensions_hold_the_latest_description_and_its_source(delivered: str) -> None:
    users = rows(delivered, "select user_id, city, source from marts.dim_users order by user_id nulls first")
    products = rows(delivered, "select product_id, product_name, price, source from marts.dim_product order by product_id nulls first")

    assert users == [(None, None, None), ("u1", "Köln", "order_complete_response"), ("u2", None, "login")]
    assert products == [
        (None, None, None, None),
        ("p1", "Schuh", Decimal("13.00"), "product_view"),
        ("p9", None, None, "order_refunded"),
    ]


def test_no_event_is_lost_for_want_of_an_id(delivered: str) -> None:
    [(total, anonymous)] = rows(delivered, """
        select count(*), count(*) filter (where user_id is null)
        from marts.fact_event join marts.dim_users using (user_sk) join marts.dim_product using (product_sk)
        join marts.dim_date using (date_sk)""")  # fmt: skip

    assert (total, anonymous) == (sum(map(len, LOADS)), 3)


def test_versions_of_a_product_follow_event_time_and_are_never_empty(delivered: str) -> None:
    found = rows(delivered, "select price, dbt_valid_from, dbt_valid_to from snapshots.cdc_product order by dbt_valid_from")

    assert found == [(Decimal("12.50"), at(0), at(2)), (Decimal("13.00"), at(2), None)]


def test_a_build_with_nothing_new_touches_no_row(delivered: str) -> None:
    before = versions(delivered)

    run = build(delivered)

    assert versions(delivered) == before
    assert {node.name: node.rows for node in run.of_kind("model") if node.name in MARTS} == dict.fromkeys(MARTS, 0)


def test_every_test_passes_over_all_history(delivered: str) -> None:
    run = run_dbt(FULL_TESTS, database=delivered)

    assert {node.status for node in run.of_kind("test", "unit_test")} == {"pass"}
    assert len(run.of_kind("unit_test")) >= 7


def test_building_anew_gives_the_same_rows(delivered: str) -> None:
    before = contents(delivered)
    history = rows(delivered, "select * from snapshots.cdc_product order by dbt_scd_id")

    build(delivered, "--full-refresh")

    assert contents(delivered) == before
    assert rows(delivered, "select * from snapshots.cdc_product order by dbt_scd_id") == history


def test_the_order_of_arrival_does_not_matter(delivered: str) -> None:
    with empty_warehouse("models_reversed") as database:
        for load_id, events in enumerate(reversed(LOADS), start=1):
            deliver(database, load_id, tuple(reversed(events)))
            if load_id > 1:
                build(database)

        assert contents(database, but=["load_id"]) == contents(delivered, but=["load_id"])


def test_a_failed_test_stays_failed_until_what_it_found_is_mended(stack: EmbeddedStack) -> None:
    with empty_warehouse("models_broken") as database, clients.postgres("loader", database) as loader:
        # given books that say one event more than was loaded
        deliver(database, 1, LOADS[0])
        loader.execute("update ops.load_manifest set rows_read = rows_read + 1, rows_inserted = rows_inserted + 1")

        # then the build fails, and so does the next, which finds nothing new but must not pass for that
        for _ in range(2):
            with pytest.raises(ServiceError, match="each_load_has_its_events"):
                build(database)

        # and passes once the books are right
        loader.execute("update ops.load_manifest set rows_read = rows_read - 1, rows_inserted = rows_inserted - 1")
        build(database)


def test_a_late_description_older_than_a_confirmation_makes_no_version(stack: EmbeddedStack) -> None:
    # given a price of 10:00, confirmed at 14:00; when another of 12:00 comes in late
    loads = [view(1, 0, "5.00")], [view(2, 4, "5.00"), view(2, 4, "5.00")], [view(3, 2, "7.00")]
    with empty_warehouse("models_snapshot") as database:
        for load_id, seen in enumerate(loads, start=1):
            deliver(database, load_id, seen)
            run_dbt(SNAPSHOT, database=database)

        found = rows(database, "select price, dbt_valid_from, dbt_valid_to, described_at from snapshots.cdc_product")
        assert found == [(Decimal("5.00"), at(0), None, at(4))]


def test_a_model_reads_new_loads_by_their_index(delivered: str) -> None:
    plans = [
        text
        for name in ("stg_event", "stg_user", "stg_products", "stg_orders")
        for (text,) in rows(delivered, f"explain select * from staging.{name} where load_id > 1000000 and load_id <= 1000001")
    ]

    assert [line for line in plans if "Scan" in line and "log_events" in line] != []
    assert [line for line in plans if "Seq Scan on log_events" in line] == []


def test_the_project_parses_without_a_warning(stack: EmbeddedStack) -> None:
    run_dbt(["--warn-error", "parse", "--no-partial-parse"])


def test_sources_are_fresh_after_a_load(delivered: str) -> None:
    run_dbt(["source", "freshness"], database=delivered)
