"""One entry of a file (a row, or the rows of an order) becomes a record, checked by the same decoder as the stream's."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pyarrow as pa

from loglake import events
from loglake.columns import COLUMNS
from loglake.decode import DEFAULT_MAX_BYTES, Reject, decode
from producers.ids import uuid7
from producers.record import GOOD, Record
from producers.replay_mapping import Rule, SourceMapping, Time
from producers.replay_rows import BadLineError, Row, Values

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_TYPES = {(column.group, column.field): column.arrow for column in COLUMNS}
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_DECIMAL = re.compile(r"[+-]?([0-9]{1,30}\.?[0-9]{0,30}|\.[0-9]{1,30})")


def mapped_record(
    mapping: SourceMapping, rule: Rule, rows: list[Row], id_bits: int, now: datetime, *, max_bytes: int = DEFAULT_MAX_BYTES
) -> Record:
    """The record of these rows, its event id made of the event's time and `id_bits`; raises BadLineError or Reject.

    The first row gives the fields, every row an item when the event is an order's.
    """
    assert rule.event_type is not None and mapping.time is not None  # noqa: PT018, S101 - SourceMapping says so
    moment = event_time(mapping.time, rows[0].values)
    event_id = uuid7((moment - _EPOCH) // _MILLISECOND, id_bits)
    values: Values = rows[0].values | {"@event_id": event_id, "@day": moment.date().isoformat()}
    document: dict[str, Any] = {
        "event_id": event_id,
        "schema_version": events.SCHEMA_VERSIONS[-1],
        "event_type": rule.event_type,
        "event_ts": moment,
        "sent_at": now,
        "level": "INFO",
    }
    for path, expression in (mapping.fields | rule.fields).items():
        text = expression.value(values)
        if text is not None:
            group, _, field = path.rpartition(".")
            (document.setdefault(group, {}) if group else document)[field] = _typed(group, field, text)
    if rule.event_type in events.STATUS_OF:
        _add_items(mapping, rule, rows, document)
    return _checked(document, now, max_bytes)


def untouched_record(content: bytes, now: datetime, max_bytes: int = DEFAULT_MAX_BYTES) -> Record:
    """The record of a line that is an event of the contract already; raises Reject when it is none."""
    event = decode(content, now, max_bytes)
    return Record(event.session_id.encode(), content, GOOD, event)


def event_time(time: Time, values: Values) -> datetime:
    """The moment a row names, in UTC; raises BadLineError."""
    text = time.expression.value(values)
    if text is None:
        raise BadLineError("bad_time", "the line names no time")
    try:
        moment = _parsed_time(text, time.format, time.zone)
    except (ArithmeticError, ValueError) as error:
        raise BadLineError("bad_time", f"no time of the format {time.format}") from error
    if moment < events.EARLIEST_EVENT:
        raise BadLineError("impossible_time", f"event_ts {moment.isoformat()}")
    return moment


@lru_cache(maxsize=4096)
def _parsed_time(text: str, form: str, zone: str) -> datetime:
    if form in ("unix", "unix_ms"):
        return _EPOCH + timedelta(microseconds=int(Decimal(text) * (1_000_000 if form == "unix" else 1_000)))
    # A format without a zone gives a naive time on purpose: the mapping's zone counts then.
    moment = datetime.fromisoformat(text) if form == "iso" else datetime.strptime(text, form)  # noqa: DTZ007
    return (moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC)


def _add_items(mapping: SourceMapping, rule: Rule, rows: list[Row], document: dict[str, Any]) -> None:
    """Items, status and, unless the mapping gives it, the amount of an order."""
    assert mapping.item is not None and rule.event_type is not None  # noqa: PT018, S101 - SourceMapping says so
    items: list[dict[str, Any]] = []
    for row in rows:
        product_id = mapping.item.product_id.value(row.values)
        quantity, price = mapping.item.quantity.value(row.values), mapping.item.unit_price.value(row.values)
        if product_id is None or quantity is None or price is None:
            raise BadLineError("missing_field", f"an order item of line {row.number} lacks product_id, quantity or unit_price")
        items.append({"product_id": product_id, "quantity": _integer("quantity", quantity), "unit_price": _decimal("unit_price", price)})
    order = document.setdefault("order", {})
    order["status"] = events.STATUS_OF[rule.event_type]
    order["items"] = items
    order.setdefault("amount", sum((item["quantity"] * item["unit_price"] for item in items), Decimal(0)))


def _typed(group: str, field: str, text: str) -> str | int | Decimal:
    arrow = _TYPES[group, field]
    if pa.types.is_integer(arrow):
        return _integer(field, text)
    return _decimal(field, text) if pa.types.is_decimal(arrow) else text


def _integer(name: str, text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise BadLineError("wrong_type", f"{name} is no whole number")
    return int(text)


def _decimal(name: str, text: str) -> Decimal:
    if not _DECIMAL.fullmatch(text):
        raise BadLineError("wrong_type", f"{name} is no decimal number")
    return Decimal(text)


def _checked(document: dict[str, Any], now: datetime, max_bytes: int) -> Record:
    try:
        payload = msgspec.json.encode(document)
    except UnicodeEncodeError as error:
        raise Reject("lone_surrogate", "half of a surrogate pair in a text") from error
    return untouched_record(payload, now, max_bytes)
