"""Kafka records → what the live windows count of them: pure functions on Arrow batches, one row per record, good or bad."""

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from decimal import Decimal
from typing import NamedTuple

import pyarrow as pa
from msgspec import structs

from consumers.bronze import EPOCH, moments
from loglake import decode, events, tables

#: Longer texts of a search or a product's name are cut: a key of Postgres' index has at most 2.7 KB.
KEY_CHARACTERS = 200
UNKNOWN = "unknown"
_MICROSECOND = timedelta(microseconds=1)
_SERVER_ERROR = 500
_NO_USER, _NO_DEVICE, _NO_GEO = events.User(), events.Device(), events.Geo()


class Place(NamedTuple):
    """Where a record lies, and when Kafka received it."""

    topic: str
    partition: int
    offset: int
    received: int


class LiveRow(NamedTuple):
    """A record. Times are microseconds since 1970. A rejected one has no event_id; `payload` is there for the newest of a batch only."""

    topic: str
    partition: int
    offset: int
    received: int
    reject_reason: str | None = None
    event_id: str | None = None
    event_time: int = 0
    event_type: str | None = None
    session_id: str | None = None
    user_id: str | None = None
    country: str | None = None
    city: str | None = None
    device: str | None = None
    product: str | None = None
    search: str | None = None
    error_code: str | None = None
    is_error: int = 0
    latency_ms: int | None = None
    payment_method: str | None = None
    currency: str | None = None
    amount: Decimal | None = None
    payload: str | None = None


_INTEGERS = ("partition", "offset", "received", "event_time", "is_error", "latency_ms")
_TYPES = {
    **{name: pa.int64() for name in _INTEGERS},
    "amount": pa.decimal128(events.MONEY_PRECISION, events.MONEY_SCALE),
}
LIVE_SCHEMA = pa.schema([pa.field(name, _TYPES.get(name, pa.string())) for name in LiveRow._fields])
#: LIVE_SCHEMA as Spark's DDL.
LIVE_DDL = ", ".join(f"`{field.name}` {tables.spark_type(field.type)}" for field in LIVE_SCHEMA)


def decoder(max_bytes: int, newest: int) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """A function for `mapInArrow` that turns batches of `bronze.KAFKA_COLUMNS` into batches of LIVE_SCHEMA."""

    def decode_all(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield to_live(batch, max_bytes, newest)

    return decode_all


def to_live(batch: pa.RecordBatch, max_bytes: int, newest: int) -> pa.RecordBatch:
    """One batch of `bronze.KAFKA_COLUMNS` as a batch of LIVE_SCHEMA, row for row; the last `newest` rows have a payload."""
    times, values = batch.column("timestamp"), batch.column("value").to_pylist()
    topics, partitions, offsets = (batch.column(name).to_pylist() for name in ("topic", "partition", "offset"))
    rows, records = [], zip(topics, partitions, offsets, times.cast(pa.int64()).to_pylist(), strict=True)
    for number, (record, payload, received) in enumerate(zip(records, values, moments(times), strict=True)):
        place = Place(*record)
        try:
            event = decode.decode(payload, received, max_bytes)
            rows.append(_row(place, event, with_payload=number >= len(values) - newest))
        except decode.Reject as reject:
            # Postgres takes no U+0000, which a detail may quote.
            rows.append(LiveRow(*place, reject_reason=str(reject).replace("\0", "\N{REPLACEMENT CHARACTER}"), payload=""))
    columns = zip(*rows, strict=True) if rows else [()] * len(LIVE_SCHEMA)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, LIVE_SCHEMA, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=LIVE_SCHEMA)


def rows_of(table: pa.Table) -> list[LiveRow]:
    """The rows of a table of LIVE_SCHEMA."""
    return list(map(LiveRow._make, zip(*(column.to_pylist() for column in table.columns), strict=True)))


def _row(place: Place, event: events.Event, *, with_payload: bool) -> LiveRow:
    geo, completed = event.geo or _NO_GEO, event.order if event.event_type == "order_complete_response" else None
    return LiveRow(
        *place,
        event_id=event.event_id,
        event_time=(event.event_ts - EPOCH) // _MICROSECOND,
        event_type=event.event_type,
        session_id=event.session_id,
        user_id=(event.user or _NO_USER).user_id,
        country=geo.country,
        city=f"{geo.country or UNKNOWN}/{geo.city}" if geo.city else None,
        device=(event.device or _NO_DEVICE).type,
        product=_product(event),
        search=_search(event),
        error_code=event.error.code if event.error and event.event_type == "error" else None,
        is_error=int(event.event_type == "error" or (event.status_code or 0) >= _SERVER_ERROR),
        latency_ms=event.latency_ms,
        payment_method=(completed.payment_method or UNKNOWN) if completed else None,
        currency=completed.currency if completed else None,
        amount=completed.amount if completed else None,
        payload=events.encode(without_person(event)).decode() if with_payload else None,
    )


def _product(event: events.Event) -> str | None:
    if event.event_type != "product_view" or event.product is None:
        return None
    return (event.product.product_name or event.product.product_id or UNKNOWN)[:KEY_CHARACTERS]


def _search(event: events.Event) -> str | None:
    """The text in lower case with single spaces, as the marts have it; a page of results sends it twice, so requests alone count."""
    if event.event_type != "search_request" or event.search is None or event.search.query is None:
        return None
    return " ".join(event.search.query.lower().split())[:KEY_CHARACTERS]


def without_person(event: events.Event) -> events.Event:
    """The event without a person's name and addresses: a page that many look at does not need them."""
    user = structs.replace(event.user, username=None, email=None) if event.user else None
    geo = structs.replace(event.geo, ip=None) if event.geo else None
    return structs.replace(event, user=user, geo=geo)
