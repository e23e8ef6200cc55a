"""How the bytes of one Kafka record become an event, or a reason why they cannot: the one place that decides.

Stricter than a JSON parser has to be: repeated keys, NUL characters, half surrogate pairs, text after the document,
numbers where text is wanted and money with more than two decimals are all refused, never silently changed.
"""

import json
import re
from datetime import datetime
from decimal import Decimal

import msgspec

from loglake import events
from loglake.events import Event

#: Every code a reject_reason can begin with (`code: detail`), and what it means.
REASONS = {
    "null_value": "the record has no value (a tombstone)",
    "empty": "the record's value is empty or white space",
    "too_large": "the value is larger than the limit",
    "not_utf8": "the bytes are not UTF-8",
    "not_json": "the text is not one JSON document",
    "not_an_object": "the document is JSON, but not an object",
    "duplicate_key": "an object names a key twice",
    "nul_character": "a text holds U+0000, which Postgres cannot store",
    "lone_surrogate": "a text holds half of a surrogate pair",
    "unknown_version": "schema_version is not one this release reads",
    "unknown_type": "event_type is not in the contract",
    "missing_field": "a field that the contract requires is absent",
    "wrong_type": "a field has another type or format than the contract says",
    "out_of_range": "a number or a text is outside its limits",
    "impossible_time": "event_ts or sent_at is before 2000 or too far after the record was received",
    "impossible_amount": "money is negative, too large, has more than two decimals, or does not add up",
}

DEFAULT_MAX_BYTES = 512 * 1024
_DECODER = msgspec.json.Decoder(Event)
_CENT = Decimal(1).scaleb(-events.MONEY_SCALE)
_MONEY_LIMIT = Decimal(10) ** (events.MONEY_PRECISION - events.MONEY_SCALE)
_MAX_DETAIL = 300
_REQUIRED = {name: tuple(tuple(path.split(".")) for path in paths) for name, paths in events.REQUIRED.items()}
_ABSENT = (None, "", ())
_KNOWN_VERSIONS = frozenset(events.SCHEMA_VERSIONS)


class Reject(Exception):
    """Why a record is not an event: `code` is a key of REASONS, the message is `code: detail`."""

    def __init__(self, code: str, detail: str) -> None:
        self.code = code
        super().__init__(f"{code}: {detail[:_MAX_DETAIL]}")


def decode(payload: bytes | None, received: datetime, max_bytes: int = DEFAULT_MAX_BYTES) -> Event:
    """The event in `payload`, the value of a record that Kafka received at `received` (aware); raises Reject."""
    if payload is None:
        raise Reject("null_value", "the record has no value")
    if len(payload) > max_bytes:
        raise Reject("too_large", f"{len(payload)} bytes, limit {max_bytes}")
    try:
        payload.decode()
    except UnicodeDecodeError as error:
        raise Reject("not_utf8", f"byte {error.start}: {error.reason}") from error
    try:
        event = _DECODER.decode(payload)
    except msgspec.ValidationError as error:
        raise _explain(payload, str(error)) from error
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise _not_json(payload, error) from error
    if b"\\u0000" in payload or payload.count(b'":') != events.encode(event).count(b'":'):
        # Cheap signs that something may be hidden in the text (or merely an unknown field): look at it slowly.
        _inspect(payload)
    check(event, received)
    return event


def check(event: Event, received: datetime) -> None:
    """The rules that types cannot say; raises Reject. `received` is aware, Kafka's time or now."""
    if event.schema_version not in _KNOWN_VERSIONS:
        raise Reject("unknown_version", f"schema_version {event.schema_version}, known {list(events.SCHEMA_VERSIONS)}")
    latest = received + events.MAX_CLOCK_AHEAD
    for name, moment in (("event_ts", event.event_ts), ("sent_at", event.sent_at)):
        if not events.EARLIEST_EVENT <= moment <= latest:
            raise Reject("impossible_time", f"{name} {moment.isoformat()}")
    for group, field in _REQUIRED[event.event_type]:
        if getattr(getattr(event, group), field, None) in _ABSENT:
            raise Reject("missing_field", f"{event.event_type} needs {group}.{field}")
    if event.product is not None:
        _check_product(event.product)
    if event.order is not None:
        _check_order(event.order, event.event_type)


def _check_product(product: events.Product) -> None:
    _check_money("product.price", product.price)
    rating = product.rating
    if rating is not None and not (rating.is_finite() and 0 <= rating <= 5 and rating == rating.quantize(_CENT)):
        raise Reject("out_of_range", f"product.rating {rating}")


def _check_order(order: events.Order, event_type: str) -> None:
    _check_money("order.amount", order.amount)
    total = Decimal(0)
    for item in order.items:
        _check_money("order.items.unit_price", item.unit_price)
        total += item.quantity * item.unit_price
    if order.items and order.amount is not None and order.amount != total:
        raise Reject("impossible_amount", f"order.amount {order.amount} is not the sum of its items, {total}")
    wanted = events.STATUS_OF.get(event_type)
    if wanted is not None and order.status != wanted:
        raise Reject("out_of_range", f"order.status {order.status} in {event_type}, which is {wanted}")


def _check_money(name: str, value: Decimal | None) -> None:
    if value is None:
        return
    if not (value.is_finite() and 0 <= value < _MONEY_LIMIT and value == value.quantize(_CENT)):
        raise Reject("impossible_amount", f"{name} {value}")


def _explain(payload: bytes, message: str) -> Reject:
    """The Reject for a document that is JSON but not of the contract: the most telling cause first."""
    document = _inspect(payload)
    if not isinstance(document, dict):
        return Reject("not_an_object", f"the document is a {type(document).__name__}")
    version = document.get("schema_version")
    if isinstance(version, int) and version not in _KNOWN_VERSIONS:
        return Reject("unknown_version", f"schema_version {version}, known {list(events.SCHEMA_VERSIONS)}")
    if "missing required field" in message:
        return Reject("missing_field", message)
    if message.startswith("Invalid enum value") and "$.event_type" in message:
        return Reject("unknown_type", message)
    if message.startswith("Invalid enum value") or re.match(r"Expected `\w+` (of length )?[<>=]", message):
        return Reject("out_of_range", message)
    return Reject("wrong_type", message)


def _not_json(payload: bytes, error: Exception) -> Reject:
    if not payload.strip():
        return Reject("empty", f"{len(payload)} bytes of white space" if payload else "0 bytes")
    try:
        _inspect(payload)
    except Reject as reject:
        return reject
    return Reject("not_json", str(error))


def _inspect(payload: bytes) -> object:
    """The document, parsed slowly and completely; raises Reject for what a fast parser passes over."""
    try:
        document = json.loads(payload, object_pairs_hook=_unique, parse_constant=_no_number)
        _check_text(document)
    except (ValueError, RecursionError) as error:
        raise Reject("not_json", str(error) or type(error).__name__) from error
    return document


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    document = dict(pairs)
    if len(document) != len(pairs):
        keys = [key for key, _ in pairs]
        raise Reject("duplicate_key", ", ".join(sorted({key for key in keys if keys.count(key) > 1})))
    return document


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is not JSON")  # Python's parser takes NaN and Infinity, the standard does not


def _check_text(value: object) -> None:
    if isinstance(value, str):
        if "\0" in value:
            raise Reject("nul_character", "U+0000 in a text")
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise Reject("lone_surrogate", "half of a surrogate pair in a text")
    elif isinstance(value, dict):
        for key, inner in value.items():
            _check_text(key)
            _check_text(inner)
    elif isinstance(value, list):
        for inner in value:
            _check_text(inner)
