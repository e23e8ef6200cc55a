"""Hand-written loads for tests of the star schema, and what the marts hold after dbt has built them."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from psycopg import sql

from loglake import clients
from loglake.events import STATUS_OF, Event, Product, User
from loglake.models import ModelRun, run_dbt
from tests.sample import NOW, event, order
from tests.warehouserows import deliver, empty_warehouse

MARTS = ("dim_users", "dim_product", "dim_date", "fact_event", "fact_order")
TEN = NOW.replace(hour=10, minute=0)
LINES = (("p1", 2, "12.50"), ("p9", 1, "0.99"))
TYPE_OF = {status: name for name, status in STATUS_OF.items()}


def at(hours: float) -> datetime:
    return TEN + timedelta(hours=hours)


def view(number: int, hours: float, price: str, product_id: str = "p1") -> Event:
    seen = Product(product_id=product_id, product_name="Schuh", price=Decimal(price))
    return event(number, event_ts=at(hours), product=seen)


def login(number: int, hours: float, user_id: str, **attributes: Any) -> Event:
    return event(number, event_ts=at(hours), event_type="login", product=None, user=User(user_id=user_id, **attributes))


def order_event(number: int, hours: float, order_id: str, status: str, lines: Any = LINES, **changes: Any) -> Event:
    values = {"event_type": TYPE_OF[status], "product": None, "order": order(order_id, status, lines), **changes}
    return event(number, event_ts=at(hours), **values)


#: Three loads: events of one order apart and out of order, an order that loses a line, late descriptions, descriptions of one moment
#: (u3, p2, p3: the greater event id stands), a product known from an order line only, a bare event, an event that is sent again.
LOADS: tuple[tuple[Event, ...], ...] = (
    (
        login(1, 0, "u1", city="Köln"),
        view(2, 0, "12.50"),
        order_event(3, 2, "o1", "completed"),
        event(4, event_ts=at(0), event_type="error", user=None, product=None),
        order_event(15, 2, "o3", "requested"),
        login(18, 5, "u3", city="Second"),
        view(20, 1, "20.00", "p2"),
        view(21, 1, "21.00", "p3"),
    ),
    (
        order_event(5, 1, "o1", "requested"),
        view(6, 2, "13.00"),
        login(7, 2, "u1", city="Bonn"),
        login(8, 3, "u1"),
        order_event(9, 3, "o2", "completed", (("p1", 1, "13.00"),)),
        order_event(16, 2.5, "o3", "completed", (("p9", 3, "0.99"),)),
        login(17, 5, "u3", city="First"),
        view(19, 1, "19.00", "p2"),
        view(22, 1, "22.00", "p3"),
    ),
    (
        view(2, 0, "12.50"),
        order_event(10, 4, "o1", "refunded", user=None),
        view(11, 1, "99.00"),
        login(12, 1, "u1", city="Late"),
        login(13, -30, "u2"),
        order_event(14, 3.5, "o2", "payment_failed", (("p1", 1, "13.00"),), user=None),
    ),
)


def build(database: str, *options: str) -> ModelRun:
    return run_dbt(["build", *options], database=database)


@contextmanager
def delivered(name: str, loads: Iterable[Sequence[Event]]) -> Iterator[str]:
    """A warehouse that got the loads one by one, with a build after each; its name."""
    with empty_warehouse(name) as database:
        for load_id, events in enumerate(loads, start=1):
            deliver(database, load_id, events)
            build(database)
        yield database


def rows(database: str, query: str) -> list[tuple[Any, ...]]:
    with clients.postgres("dbt", database) as connection:
        return connection.execute(query).fetchall()  # type: ignore[arg-type]


def contents(database: str, but: Sequence[str] = ()) -> dict[str, list[str]]:
    """Every row of every mart as text, in order, without the columns in `but`."""
    query = "select (to_jsonb(t) - %s::text[])::text from marts.{} t order by 1"
    with clients.postgres("dbt", database) as connection:
        return {
            mart: [text for (text,) in connection.execute(sql.SQL(query).format(sql.Identifier(mart)), [list(but)])]  # type: ignore[arg-type]
            for mart in MARTS
        }
