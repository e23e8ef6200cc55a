"""Kafka records to what the live windows count."""

import json
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from consumers.live_rows import LiveRow, rows_of
from loglake import events
from loglake.events import Device, Error, Geo, Search, User
from tests.sample import NOW, event, order

pytestmark = pytest.mark.unit

MICROSECONDS = int(NOW.timestamp()) * 1_000_000


def live(*payloads: bytes | None, newest: int = 10) -> list[LiveRow]:
    count = len(payloads)
    records = pa.table(
        {
            "topic": pa.array(["t"] * count, pa.string()),
            "partition": pa.array([1] * count, pa.int32()),
            "offset": pa.array(range(7, 7 + count), pa.int64()),
            "timestamp": pa.array([NOW] * count, pa.timestamp("us", tz="UTC")),
            "value": pa.array(payloads, pa.binary()),
        }
    )
    return rows_of(records, 100_000, newest)


def of(**changes: Any) -> LiveRow:
    return live(events.encode(event(**changes)))[0]


def test_an_event_becomes_what_is_counted_of_it() -> None:
    row = of()
    assert row[:4] == ("t", 1, 7, MICROSECONDS)
    assert (row.event_id, row.event_time, row.event_type) == (event().event_id, MICROSECONDS, "product_view")
    assert (row.session_id, row.user_id, row.country, row.city, row.device) == ("session-1", "u1", "Germany", "Germany/Köln", "mobile")
    assert (row.product, row.search, row.error_code, row.is_error, row.latency_ms) == ("Schuh 👟", None, None, False, 30)
    assert (row.payment_method, row.amount, row.reject_reason) == (None, None, None)


def test_an_event_without_groups_counts_for_what_it_has() -> None:
    row = of(user=None, device=None, geo=None, page=None, product=None, event_type="page_view", latency_ms=None, status_code=None)
    assert row.event_id is None
    assert (row.reject_reason or "").startswith("missing_field")
    row = of(user=User(user_id="u2"), device=None, geo=Geo(city="Köln"), product=None, event_type="login")
    assert (row.country, row.city, row.device, row.product) == (None, "unknown/Köln", None, None)


def test_completed_orders_alone_are_revenue() -> None:
    completed = of(event_type="order_complete_response", order=order())
    assert (completed.payment_method, completed.currency, completed.amount) == ("card", "EUR", Decimal("25.00"))
    assert of(event_type="order_request", order=order(status="requested")).amount is None


@pytest.mark.parametrize(
    ("changes", "code", "is_error"),
    [
        ({"event_type": "error", "error": Error(code="E7")}, "E7", True),
        ({"status_code": 503}, None, True),
        ({"status_code": 499}, None, False),
        ({"error": Error(code="E7")}, None, False),
    ],
)
def test_errors_are_those_of_the_alerts(changes: dict[str, Any], code: str | None, is_error: bool) -> None:
    row = of(**changes)
    assert (row.error_code, row.is_error) == (code, is_error)


def test_searches_are_as_the_marts_have_them_and_no_longer_than_a_key_may_be() -> None:
    assert of(event_type="search_request", search=Search("  Red   SHOES ")).search == "red shoes"
    assert of(event_type="search_response", search=Search("red", 3)).search is None
    assert len(of(event_type="search_request", search=Search("😀" * 1000)).search or "") == 200


def test_the_payload_of_the_newest_has_nobodys_name_or_address() -> None:
    first, last = live(events.encode(event(1)), events.encode(event(2, device=Device(type="tablet"))), newest=1)
    assert first.payload is None
    told = json.loads(last.payload or "")
    assert (told["user"]["user_id"], told["geo"], told["device"]) == ("u1", {"country": "Germany", "city": "Köln"}, {"type": "tablet"})
    assert not {"username", "email"} & told["user"].keys()


def test_a_reject_says_why_and_nothing_of_its_bytes() -> None:
    bad, null = live(b"\xff{", None)
    assert (bad.reject_reason or "").startswith("not_utf8")
    assert (bad.event_id, bad.payload) == (None, "")
    assert (null.reject_reason or "").startswith("null_value")


def test_no_records_are_no_rows() -> None:
    assert live() == []
