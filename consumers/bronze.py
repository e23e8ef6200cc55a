"""Kafka records → rows of the bronze table: pure functions on Arrow batches, one row per record, good or bad."""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from types import SimpleNamespace
from typing import Any

import pyarrow as pa

from loglake import decode, events
from loglake.columns import COLUMNS, LAKE_SCHEMA

#: What Spark's Kafka source gives, in the order of `select` in `lake_stream`.
KAFKA_COLUMNS = ("topic", "partition", "offset", "timestamp", "value")

#: Stands in for the event of a rejected record: every field is null.
_NO_EVENT = SimpleNamespace(**{column.field: None for column in COLUMNS if not column.group}, **dict.fromkeys(events.GROUPS))
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EMPTY_GROUPS = {name: group() for name, group in events.GROUPS.items()}


def decoder(max_bytes: int) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """A function for `mapInArrow` that turns batches of KAFKA_COLUMNS into batches of LAKE_SCHEMA."""

    def decode_all(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield to_bronze(batch, max_bytes, datetime.now(UTC))

    return decode_all


def to_bronze(batch: pa.RecordBatch, max_bytes: int, ingested_at: datetime) -> pa.RecordBatch:
    """One batch of KAFKA_COLUMNS as a batch of LAKE_SCHEMA, row for row."""
    found: list[Any] = []
    reasons: list[str | None] = []
    payloads: list[bytes | None] = []
    for payload, received in zip(batch.column("value").to_pylist(), moments(batch.column("timestamp")), strict=True):
        try:
            found.append(decode.decode(payload, received, max_bytes))
            reasons.append(None)
            payloads.append(None)
        except decode.Reject as reject:
            found.append(_NO_EVENT)
            reasons.append(str(reject))
            payloads.append(payload)
    position = [batch.column(name) for name in KAFKA_COLUMNS[:4]]
    ingested = pa.repeat(pa.scalar(ingested_at, pa.timestamp("us", tz="UTC")), batch.num_rows)
    rejects = [pa.array(reasons, pa.string()), pa.array(payloads, pa.binary())]
    arrays = [*position, ingested, *_event_arrays(found), *rejects]
    return pa.RecordBatch.from_arrays(
        [array.cast(field.type) for array, field in zip(arrays, LAKE_SCHEMA, strict=True)], schema=LAKE_SCHEMA
    )


def moments(timestamps: pa.Array) -> Iterator[datetime]:
    """The timestamps as aware datetimes; ten times as fast as `to_pylist`, which looks the zone up for each."""
    for microseconds in timestamps.cast(pa.int64()).to_pylist():
        yield EPOCH + timedelta(microseconds=microseconds)


def _event_arrays(found: list[Any]) -> list[pa.Array]:
    """The contract's columns, in their order, of events (or `_NO_EVENT`)."""
    parts: dict[str, list[Any] | None] = {"": found}
    for group, empty in _EMPTY_GROUPS.items():
        members = list(map(attrgetter(group), found))
        # A group that no event of the batch has is one null array per column, without a look at each row.
        parts[group] = [member or empty for member in members] if any(members) else None
    return [_array(rows, c.field, c.arrow) if (rows := parts[c.group]) else pa.nulls(len(found), c.arrow) for c in COLUMNS]


def _array(rows: list[Any], field: str, arrow: pa.DataType) -> pa.Array:
    values = map(attrgetter(field), rows)
    if pa.types.is_list(arrow):
        return pa.array([_items(items) for items in values], arrow)
    return pa.array(list(values), arrow)


def _items(items: tuple[events.OrderItem, ...]) -> list[dict[str, Any]] | None:
    if not items:
        return None
    return [{"product_id": item.product_id, "quantity": item.quantity, "unit_price": item.unit_price} for item in items]
