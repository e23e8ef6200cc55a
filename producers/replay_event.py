"""One entry of a file (a row, or the rows of an order) becomes a record, checked by the same decoder as the stream's."""

import re
from collections.abc import Callable
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
from producers.ids import milliseconds, uuid7
from producers.record import GOOD, Record
from producers.replay_expression import Expression
from producers.replay_mapping import Item, Rule, SourceMapping, Time
from producers.replay_rows import BadLineError, Row, Values

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TYPES = {(column.group, column.field): column.arrow for column in COLUMNS}
_Step = tuple[str, str, Callable[[str, str], str | int | Decimal], Expression]
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_DECIMAL = re.compile(r"[+-]?([0-9]{1,30}\.?[0-9]{0,30}|\.[0-9]{1,30})")


class RecordMaker:
    """Makes the records of one mapping, checked like any record that the stream reads."""

    def __init__(self, mapping: SourceMapping, max_bytes: int = DEFAULT_MAX_BYTES) -> None:
        self._mapping, self._max_bytes = mapping, max_bytes
        self._plans = {id(rule): _plan(mapping, rule) for rule in mapping.rules}

    def untouched(self, content: bytes, now: datetime) -> Record:
        """The record of a line that is an event of the contract already; raises Reject when it is none."""
        event = decode(content, now, self._max_bytes)
        return Record(event.session_id.encode(), content, GOOD, event)

    def mapped(self, rule: Rule, rows: list[Row], id_bits: int, now: datetime) -> Record:
        """The record of these rows, its event id made of the event's time and `id_bits`; raises BadLineError or Reject.

        The first row gives the fields, every row an item when the event is an order's.
        """
        moment = event_time(self._mapping.time, rows[0].values)
        event_id = uuid7(milliseconds(moment), id_bits)
        values: Values = rows[0].values | {"@event_id": event_id, "@day": moment.date().isoformat()}
        document: dict[str, Any] = {
            "event_id": event_id,
            "schema_version": events.SCHEMA_VERSIONS[-1],
            "event_type": rule.event_type,
            "event_ts": moment,
            "sent_at": now,
            "level": "INFO",
        }
        for group, field, typed, expression in self._plans[id(rule)]:
            text = expression.value(values)
            if text is not None:
                (document.setdefault(group, {}) if group else document)[field] = typed(field, text)
        if rule.event_type in events.STATUS_OF:
            _add_items(self._mapping.item, rule.event_type, rows, document.setdefault("order", {}))
        try:
            return self.untouched(msgspec.json.encode(document), now)
        except UnicodeEncodeError as error:
            raise Reject("lone_surrogate", "half of a surrogate pair in a text") from error


def event_time(time: Time | None, values: Values) -> datetime:
    """The moment a row names, in UTC; raises BadLineError."""
    text = time.expression.value(values) if time is not None else None
    if time is None or text is None:
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
        if not _DECIMAL.fullmatch(text):  # Decimal takes 1e999999 as well, which int() works on for a minute
            raise ValueError(text)
        return _EPOCH + timedelta(microseconds=int(Decimal(text) * (1_000_000 if form == "unix" else 1_000)))
    # A format without a zone gives a naive time on purpose: the mapping's zone counts then.
    moment = datetime.fromisoformat(text) if form == "iso" else datetime.strptime(text, form)  # noqa: DTZ007
    return (moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC)


def _add_items(item: Item | None, event_type: str, rows: list[Row], order: dict[str, Any]) -> None:
    """Items, status and, unless the mapping gives it, the amount of an order."""
    items: list[dict[str, Any]] = []
    for row in rows:
        product_id, quantity, price = (part.value(row.values) for part in item.parts) if item is not None else (None, None, None)
        if product_id is None or quantity is None or price is None:
            raise BadLineError("missing_field", f"the order item of line {row.number} lacks product_id, quantity or unit_price")
        items.append({"product_id": product_id, "quantity": _integer("quantity", quantity), "unit_price": _decimal("unit_price", price)})
    order["status"] = events.STATUS_OF[event_type]
    order["items"] = items
    order.setdefault("amount", sum((line["quantity"] * line["unit_price"] for line in items), Decimal(0)))


def _plan(mapping: SourceMapping, rule: Rule) -> list[_Step]:
    """Which field gets which type and expression: the rule's own fields go before the mapping's."""
    steps: list[_Step] = []
    for path, expression in (mapping.fields | rule.fields).items():
        group, _, field = path.rpartition(".")
        arrow = _TYPES[group, field]
        typed = _integer if pa.types.is_integer(arrow) else _decimal if pa.types.is_decimal(arrow) else _text
        steps.append((group, field, typed, expression))
    return steps


def _text(_name: str, text: str) -> str:
    return text


def _integer(name: str, text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise BadLineError("wrong_type", f"{name} is no whole number")
    return int(text)


def _decimal(name: str, text: str) -> Decimal:
    if not _DECIMAL.fullmatch(text):
        raise BadLineError("wrong_type", f"{name} is no decimal number")
    return Decimal(text)
