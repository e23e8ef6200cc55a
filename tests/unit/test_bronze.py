"""Kafka records to rows of the bronze table."""

from datetime import timedelta, timezone
from decimal import Decimal

import pyarrow as pa
import pytest

from consumers.bronze import to_bronze
from loglake import events
from loglake.columns import LAKE_SCHEMA
from tests.sample import NOW, event, order

pytestmark = pytest.mark.unit


def rows(*payloads):
    count = len(payloads)
    batch = pa.record_batch(
        {
            "topic": pa.array(["t"] * count),
            "partition": pa.array([1] * count, pa.int32()),
            "offset": pa.array(range(7, 7 + count), pa.int64()),
            "timestamp": pa.array([NOW] * count, pa.timestamp("us", tz="UTC")),
            "value": pa.array(payloads, pa.binary()),
        }
    )
    bronze = to_bronze(batch, 100_000, NOW)
    assert bronze.schema == LAKE_SCHEMA
    return bronze.to_pylist()


def test_every_record_is_one_row_good_or_bad():
    bad = b"\xff\x00 not json"
    good, rejected, null = rows(events.encode(event()), bad, None)
    assert (good["offset"], rejected["offset"], null["offset"]) == (7, 8, 9)
    assert good["reject_reason"] is None
    assert good["payload"] is None
    assert good["event_id"] == event().event_id
    assert rejected["reject_reason"].startswith("not_utf8: ")
    assert rejected["payload"] == bad
    assert rejected["event_id"] is None
    assert null["reject_reason"].startswith("null_value: ")
    assert null["payload"] is None


def test_fields_are_flattened_with_their_group():
    (row,) = rows(events.encode(event(event_type="order_complete_response", order=order())))
    assert row["product_name"] == "Schuh 👟"
    assert row["device_os"] == "iOS"
    assert row["product_price"] == Decimal("12.50")
    assert row["order_items"] == [{"product_id": "p1", "quantity": 2, "unit_price": Decimal("12.50")}]
    assert row["search_query"] is None


def test_times_are_utc_whatever_their_offset():
    local = NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))
    (row,) = rows(events.encode(event(event_ts=local)))
    assert row["event_ts"] == NOW
    assert row["event_ts"].utcoffset() == timedelta(0)


def test_an_empty_batch_is_an_empty_batch():
    assert rows() == []
