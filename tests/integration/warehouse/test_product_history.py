"""The history of products on real Postgres: versions by event time, wherever and whenever a description arrives."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from tests.stackfixture import EmbeddedStack
from tests.starloads import at, delivered, order_event, rows, view

pytestmark = pytest.mark.integration

#: p1 costs 10, then 12, then 10 again; p2 never changes. (number, hours, price, product)
VIEWS = (
    (1, 0.0, "10.00", "p1"),
    (2, 1.0, "10.00", "p1"),
    (3, 2.0, "12.00", "p1"),
    (4, 3.0, "10.00", "p1"),
    (5, 4.0, "10.00", "p1"),
    (6, 1.0, "7.00", "p2"),
    (7, 5.0, "7.00", "p2"),
    (8, 6.0, "12.00", "p1"),
)
EVENTS = (
    *(view(*values) for values in VIEWS),
    order_event(9, 2.5, "o1", "completed", (("p1", 2, "11.00"),), user=None),
    order_event(10, 3.5, "o2", "completed", (("p1", 1, "10.00"), ("p9", 1, "1.00")), user=None),
)
HISTORY = "select product_id, price, valid_from, valid_to, is_current from marts.dim_product_history order by 1, 3"
#: Loads that bring the change before what it changed, what confirms it, and what it came after.
SHUFFLED = ((8, 0, 6), (4, 3), (7, 9), (2,), (1, 5))


@pytest.fixture(
    scope="module", params=[(tuple(range(10)),), SHUFFLED, tuple((n,) for n in range(9, -1, -1))], ids=["at once", "late", "backwards"]
)
def database(postgres: EmbeddedStack, request: pytest.FixtureRequest) -> Iterator[str]:
    assert postgres.runtime.exists()
    with delivered("product_history", [[EVENTS[number] for number in numbers] for numbers in request.param]) as name:
        yield name


def test_a_late_change_lies_between_the_versions_around_it(database: str) -> None:
    assert rows(database, HISTORY) == [
        ("p1", Decimal("10.00"), at(0), at(2), False),
        ("p1", Decimal("12.00"), at(2), at(3), False),
        ("p1", Decimal("10.00"), at(3), at(6), False),
        ("p1", Decimal("12.00"), at(6), None, True),
        ("p2", Decimal("7.00"), at(1), None, True),
    ]


def test_an_order_line_meets_the_price_of_its_own_time(database: str) -> None:
    query = "select order_id, unit_price, list_price, difference from marts.fact_order_price order by order_id, line_number"
    assert rows(database, query) == [
        ("o1", Decimal("11.00"), Decimal("12.00"), Decimal("-2.00")),
        ("o2", Decimal("10.00"), Decimal("10.00"), Decimal("0.00")),
        ("o2", Decimal("1.00"), None, None),
    ]
