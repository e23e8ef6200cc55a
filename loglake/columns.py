"""The contract flattened to columns, derived from `loglake.events`: one list that every table and file is made from.

A group's fields carry the group as prefix (`device_os`), unless they have it already (`user_id`, `order_id`).
"""

import types
import typing
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal, get_args, get_origin

import msgspec
import pyarrow as pa

from loglake import events

_MONEY = pa.decimal128(events.MONEY_PRECISION, events.MONEY_SCALE)
_RATING = pa.decimal128(3, 2)
ITEM = pa.struct([pa.field("product_id", pa.string()), pa.field("quantity", pa.int32()), pa.field("unit_price", _MONEY)])


@dataclass(frozen=True)
class Column:
    """One flattened field: `group` is empty for the envelope; `arrow` is its type in the lake."""

    name: str
    group: str
    field: str
    arrow: pa.DataType
    description: str

    @property
    def postgres(self) -> str:
        """The column's type in `raw.log_events`."""
        return "uuid" if self.name == "event_id" else postgres_type(self.arrow)


def postgres_type(arrow: pa.DataType) -> str:
    """The Postgres type that holds every value of an Arrow type used here."""
    if pa.types.is_decimal(arrow):
        return f"numeric({arrow.precision}, {arrow.scale})"
    if pa.types.is_list(arrow):
        return "jsonb"
    names = {pa.string(): "text", pa.int32(): "integer", pa.int64(): "bigint", pa.binary(): "bytea"}
    return names.get(arrow, "timestamptz")


def _arrow_type(name: str, plain: object) -> pa.DataType:
    if plain is str or get_origin(plain) is Literal:
        return pa.string()
    if plain is int:
        return pa.int32()
    if plain is Decimal:
        return _RATING if name == "rating" else _MONEY
    if plain is datetime:
        return pa.timestamp("us", tz="UTC")
    if plain == tuple[events.OrderItem, ...]:
        return pa.list_(ITEM)
    raise TypeError(f"events.py: no column type for {name}: {plain}")


def _column(group: str, field: msgspec.structs.FieldInfo) -> Column:
    name = field.name if not group or field.name.startswith(f"{group}_") else f"{group}_{field.name}"
    annotation = field.type
    if get_origin(annotation) in (typing.Union, types.UnionType):
        annotation = next(part for part in get_args(annotation) if part is not types.NoneType)
    plain, meta = get_args(annotation)
    return Column(name, group, field.name, _arrow_type(field.name, plain), meta.description)


def _columns() -> tuple[Column, ...]:
    found: list[Column] = []
    for field in msgspec.structs.fields(events.Event):
        if field.name in events.GROUPS:
            found += [_column(field.name, inner) for inner in msgspec.structs.fields(events.GROUPS[field.name])]
        else:
            found.append(_column("", field))
    return tuple(found)


#: Every field of the contract as a column, in the contract's order.
COLUMNS = _columns()

#: Where a record came from; the first columns of the lake table.
POSITION = (
    Column("topic", "", "topic", pa.string(), "Kafka topic of the record"),
    Column("partition", "", "partition", pa.int32(), "Kafka partition of the record"),
    Column("offset", "", "offset", pa.int64(), "Kafka offset of the record"),
    Column("kafka_timestamp", "", "timestamp", pa.timestamp("us", tz="UTC"), "When the broker received the record (UTC)"),
)
INGESTED_AT = Column("ingested_at", "", "ingested_at", pa.timestamp("us", tz="UTC"), "When the stream read the record (UTC)")
REJECT = (
    Column("reject_reason", "", "reject_reason", pa.string(), "Why the record is not an event, `code: detail`; null for a good one"),
    Column("payload", "", "payload", pa.binary(), "The untouched bytes of a rejected record; null for a good one"),
)

#: All columns of `lake.bronze.log_events`, in order.
LAKE_COLUMNS = (*POSITION, INGESTED_AT, *COLUMNS, *REJECT)
LAKE_SCHEMA = pa.schema([pa.field(column.name, column.arrow) for column in LAKE_COLUMNS])
