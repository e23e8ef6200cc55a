"""The star schema on real Postgres: what it holds after late, unordered and repeated deliveries, one build per load, as the DAG does it."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from loglake.models import FULL_TESTS, SNAPSHOT, run_dbt
from tests.stackfixture import EmbeddedStack
from tests.starloads import LOADS, at, build, contents, rows, view
from tests.warehouserows import deliver, empty_warehouse

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def delivered(postgres: EmbeddedStack) -> Iterator[str]:
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
        ("o3", 1, "completed", 2026030412, 3, Decimal("2.97"), "card", "u1", "p9"),
    ]


def test_dimensions_hold_the_latest_description_and_its_source(delivered: str) -> None:
    users = rows(delivered, "select user_id, city, source from marts.dim_users order by user_id nulls first")
    products = rows(delivered, "select product_id, product_name, price, source from marts.dim_product order by product_id nulls first")

    assert users == [(None, None, None), ("u1", "Köln", "order_complete_response"), ("u2", None, "login"), ("u3", "Second", "login")]
    assert products == [
        (None, None, None, None),
        ("p1", "Schuh", Decimal("13.00"), "product_view"),
        ("p2", "Schuh", Decimal("20.00"), "product_view"),
        ("p3", "Schuh", Decimal("22.00"), "product_view"),
        ("p9", None, None, "order_refunded"),
    ]


def test_no_event_is_lost_for_want_of_an_id(delivered: str) -> None:
    [(total, anonymous)] = rows(delivered, """
        select count(*), count(*) filter (where user_id is null)
        from marts.fact_event join marts.dim_users using (user_sk) join marts.dim_product using (product_sk)
        join marts.dim_date using (date_sk)""")  # fmt: skip

    assert (total, anonymous) == (len({event.event_id for events in LOADS for event in events}), 3)


def test_versions_of_a_product_follow_event_time_and_are_never_empty(delivered: str) -> None:
    found = rows(delivered, "select product_id, price, dbt_valid_from, dbt_valid_to from snapshots.cdc_product order by 1, 3")

    assert found == [
        ("p1", Decimal("12.50"), at(0), at(2)),
        ("p1", Decimal("13.00"), at(2), None),
        ("p2", Decimal("20.00"), at(1), None),
        ("p3", Decimal("22.00"), at(1), None),
    ]


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
    with empty_warehouse("models") as database:
        for load_id, events in enumerate(reversed(LOADS), start=1):
            deliver(database, load_id, tuple(reversed(events)))
            if load_id > 1:
                build(database)

        assert contents(database, but=["load_id"]) == contents(delivered, but=["load_id"])
        assert {node.status for node in run_dbt(FULL_TESTS, database=database).of_kind("test")} == {"pass"}


def test_a_late_description_older_than_a_confirmation_makes_no_version(postgres: EmbeddedStack) -> None:
    # given a price of 10:00, confirmed at 14:00; when another of 12:00 comes in late
    loads = [view(1, 0, "5.00")], [view(2, 4, "5.00"), view(2, 4, "5.00")], [view(3, 2, "7.00")]
    with empty_warehouse("models") as database:
        for load_id, seen in enumerate(loads, start=1):
            deliver(database, load_id, seen)
            run_dbt(SNAPSHOT, database=database)

        found = rows(database, "select price, dbt_valid_from, dbt_valid_to, described_at from snapshots.cdc_product")
        assert found == [(Decimal("5.00"), at(0), None, at(4))]


def test_the_project_parses_without_a_warning(postgres: EmbeddedStack) -> None:
    run_dbt(["--warn-error", "parse", "--no-partial-parse"])


def test_sources_are_fresh_after_a_load(delivered: str) -> None:
    run_dbt(["source", "freshness"], database=delivered)
