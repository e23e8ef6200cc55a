"""Kafka records → what the live windows count of them: pure functions, one row per record, good or bad."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

import pyarrow as pa
from msgspec import structs

from consumers.bronze import EPOCH, KAFKA_COLUMNS, moments
from loglake import decode, events

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
    is_error: bool = False
    latency_ms: int | None = None
    payment_method: str | None = None
    currency: str | None = None
    amount: Decimal | None = None
    payload: str | None = None


def rows_of(records: pa.Table, max_bytes: int, newest: int) -> list[LiveRow]:
    """What a table of `bronze.KAFKA_COLUMNS` holds, a row per record; the `newest` that came last have a payload."""
    columns = {name: records.column(name).combine_chunks() for name in KAFKA_COLUMNS}
    values, received = columns["value"].to_pylist(), columns["timestamp"].cast(pa.int64()).to_pylist()
    topics, partitions, offsets = (columns[name].to_pylist() for name in ("topic", "partition", "offset"))
    places = list(map(Place, topics, partitions, offsets, received))
    last = set(sorted(range(len(places)), key=lambda number: (places[number].received, places[number].offset))[-newest:])
    found = zip(places, values, moments(columns["timestamp"]), strict=True)
    return [_decoded(place, payload, moment, max_bytes, number in last) for number, (place, payload, moment) in enumerate(found)]


def _decoded(place: Place, payload: bytes | None, received: datetime, max_bytes: int, is_new: bool) -> LiveRow:
    try:
        return _row(place, decode.decode(payload, received, max_bytes), is_new)
    except decode.Reject as reject:
        # Postgres takes no U+0000, which a detail may quote.
        reason = str(reject).replace("\0", "\N{REPLACEMENT CHARACTER}")
        return LiveRow(*place, reject_reason=reason, payload="" if is_new else None)


def _row(place: Place, event: events.Event, is_new: bool) -> LiveRow:
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
        is_error=event.event_type == "error" or (event.status_code or 0) >= _SERVER_ERROR,
        latency_ms=event.latency_ms,
        payment_method=(completed.payment_method or UNKNOWN) if completed else None,
        currency=completed.currency if completed else None,
        amount=completed.amount if completed else None,
        payload=events.encode(without_person(event)).decode() if is_new else None,
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
