"""Hand-written events for tests."""

import uuid
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from loglake.events import Device, Event, Geo, Order, OrderItem, Page, Product, User

NOW = datetime(2026, 3, 4, 12, 30, tzinfo=UTC)


def event_id(number: int, moment: datetime = NOW) -> str:
    """A UUIDv7 of a time, told apart by a number."""
    return str(uuid.UUID(int=(int(moment.timestamp() * 1000) << 80) | (7 << 76) | (2 << 62) | number))


def event(number: int = 1, **changes: Any) -> Event:
    """A product view with every kind of field, changed as asked."""
    moment = changes.get("event_ts", NOW)
    values: dict[str, Any] = {
        "event_id": event_id(number, moment),
        "schema_version": 1,
        "event_type": "product_view",
        "event_ts": moment,
        "sent_at": moment,
        "service": "web",
        "level": "INFO",
        "session_id": "session-1",
        "user": User(user_id="u1", username="bob", email="bob@example.org", sex="male", age=33, country="Germany", city="Köln"),
        "device": Device(type="mobile", os="iOS", browser="Safari", user_agent="Mozilla/5.0 (iPhone)"),
        "geo": Geo(country="Germany", city="Köln", ip="192.0.2.7"),
        "page": Page(url="/p/1", referrer="https://search.example/"),
        "product": Product("p1", "Schuh 👟", "Fashion", price=Decimal("12.50"), stock=3, rating=Decimal("4.5")),
        "status_code": 200,
        "latency_ms": 30,
        **changes,
    }
    return Event(**values)


def order(order_id: str = "o1", status: str = "completed", lines: tuple[tuple[str, int, str], ...] = (("p1", 2, "12.50"),)) -> Order:
    """An order of (product, quantity, unit price) lines whose amount adds up."""
    items = tuple(OrderItem(product_id=product, quantity=quantity, unit_price=Decimal(price)) for product, quantity, price in lines)
    amount = sum((item.quantity * item.unit_price for item in items), Decimal(0))
    return Order(order_id=order_id, status=status, payment_method="card", currency="EUR", items=items, amount=amount)  # type: ignore[arg-type]
