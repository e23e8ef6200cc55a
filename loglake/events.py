"""The event contract: the only place where an event's fields are written down.

From these classes come the flattened columns (`loglake.columns`: Arrow, Spark, Iceberg and Postgres types), the
published JSON Schema (`docs/event.schema.json`), the decoder's validation (`loglake.decode`) and the data dictionary.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

SCHEMA_VERSIONS = (1,)
#: Money is decimal(12, 2) everywhere.
MONEY_PRECISION, MONEY_SCALE = 12, 2
#: No event before this is believed, and none later than this after Kafka received it.
EARLIEST_EVENT = datetime(2000, 1, 1, tzinfo=UTC)
MAX_CLOCK_AHEAD = timedelta(days=1)
UUID7 = r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"
CURRENCY = r"^[A-Z]{3}$"
COUNTRY_MAX = 64

EventType = Literal[
    "login",
    "logout",
    "search_request",
    "search_response",
    "page_view",
    "product_view",
    "add_to_cart",
    "remove_from_cart",
    "order_request",
    "order_complete_response",
    "payment_failed",
    "order_refunded",
    "error",
]
Level = Literal["DEBUG", "INFO", "WARN", "ERROR"]
OrderStatus = Literal["requested", "completed", "payment_failed", "refunded"]
Sex = Literal["female", "male", "other"]


def text(description: str, max_length: int = 256) -> Meta:
    return Meta(description=description, max_length=max_length)


class Group(msgspec.Struct, omit_defaults=True, frozen=True, gc=False):
    """A named part of an event; every field is optional unless REQUIRED says otherwise for the event's type."""


class User(Group, frozen=True):
    user_id: Annotated[str, text("Stable identifier of the user", 128)] | None = None
    username: Annotated[str, text("Name the user logs in with")] | None = None
    email: Annotated[str, text("E-mail address, personal data", 320)] | None = None
    sex: Annotated[Sex, Meta(description="Sex as the user stated it")] | None = None
    age: Annotated[int, Meta(description="Age in years", ge=0, le=150)] | None = None
    country: Annotated[str, text("Country of the user's account", COUNTRY_MAX)] | None = None
    city: Annotated[str, text("City of the user's account")] | None = None


class Device(Group, frozen=True):
    type: Annotated[str, text("Kind of device: desktop, mobile, tablet, bot", 64)] | None = None
    os: Annotated[str, text("Operating system", 64)] | None = None
    browser: Annotated[str, text("Browser", 64)] | None = None
    user_agent: Annotated[str, text("User-Agent header, untouched", 4096)] | None = None


class Geo(Group, frozen=True):
    country: Annotated[str, text("Country the request came from", COUNTRY_MAX)] | None = None
    city: Annotated[str, text("City the request came from")] | None = None
    ip: Annotated[str, text("Client address, personal data", 45)] | None = None


class Page(Group, frozen=True):
    url: Annotated[str, text("Address of the page", 4096)] | None = None
    referrer: Annotated[str, text("Address of the page before it", 4096)] | None = None
    utm_source: Annotated[str, text("Campaign source")] | None = None
    utm_medium: Annotated[str, text("Campaign medium")] | None = None
    utm_campaign: Annotated[str, text("Campaign name")] | None = None


class Product(Group, frozen=True):
    product_id: Annotated[str, text("Stable identifier of the product", 128)] | None = None
    product_name: Annotated[str, text("Name shown in the shop", 512)] | None = None
    category: Annotated[str, text("Top-level category")] | None = None
    subcategory: Annotated[str, text("Category below it")] | None = None
    brand: Annotated[str, text("Brand")] | None = None
    description: Annotated[str, text("Description shown in the shop", 4096)] | None = None
    price: Annotated[Decimal, Meta(description="Unit price at the time of the event")] | None = None
    stock: Annotated[int, Meta(description="Units in stock at the time of the event", ge=0, le=2**31 - 1)] | None = None
    rating: Annotated[Decimal, Meta(description="Mean rating, 0 to 5")] | None = None


class Search(Group, frozen=True):
    query: Annotated[str, text("What the user typed", 1024)] | None = None
    result_count: Annotated[int, Meta(description="Number of results", ge=0, le=2**31 - 1)] | None = None


class OrderItem(msgspec.Struct, frozen=True, gc=False):
    product_id: Annotated[str, text("Product ordered", 128)]
    quantity: Annotated[int, Meta(description="Units ordered", ge=1, le=2**31 - 1)]
    unit_price: Annotated[Decimal, Meta(description="Price of one unit")]


class Order(Group, frozen=True):
    order_id: Annotated[str, text("Stable identifier of the order", 128)] | None = None
    status: Annotated[OrderStatus, Meta(description="State of the order after this event")] | None = None
    payment_method: Annotated[str, text("How it is paid", 64)] | None = None
    currency: Annotated[str, Meta(description="ISO 4217 code", pattern=CURRENCY)] | None = None
    items: Annotated[tuple[OrderItem, ...], Meta(description="Order lines, in the order's own sequence", max_length=1000)] = ()
    amount: Annotated[Decimal, Meta(description="Sum of quantity x unit_price over the items")] | None = None


class Error(Group, frozen=True):
    code: Annotated[str, text("Error code", 64)] | None = None
    message: Annotated[str, text("Error message", 4096)] | None = None


class Event(msgspec.Struct, omit_defaults=True, frozen=True, kw_only=True, gc=False):
    """One log event, as it travels through Kafka as a JSON object. Fields the contract does not name are ignored."""

    event_id: Annotated[str, Meta(description="UUIDv7, lower case; set once and kept on resend", pattern=UUID7, max_length=36)]
    schema_version: Annotated[int, Meta(description="Version of this contract")]
    event_type: Annotated[EventType, Meta(description="What happened")]
    event_ts: Annotated[datetime, Meta(description="When it happened (UTC)", tz=True)]
    sent_at: Annotated[datetime, Meta(description="When the producer sent it (UTC)", tz=True)]
    service: Annotated[str, text("Service that logged it", 128)]
    level: Annotated[Level, Meta(description="Log level")]
    session_id: Annotated[str, Meta(description="Session it belongs to; the Kafka key", min_length=1, max_length=128)]
    user: User | None = None
    device: Device | None = None
    geo: Geo | None = None
    page: Page | None = None
    product: Product | None = None
    search: Search | None = None
    order: Order | None = None
    error: Error | None = None
    status_code: Annotated[int, Meta(description="HTTP status of the response", ge=100, le=599)] | None = None
    latency_ms: Annotated[int, Meta(description="Time to answer in milliseconds", ge=0, le=2**31 - 1)] | None = None


#: The groups, in the order of their columns.
GROUPS: dict[str, type[Group]] = {
    "user": User,
    "device": Device,
    "geo": Geo,
    "page": Page,
    "product": Product,
    "search": Search,
    "order": Order,
    "error": Error,
}

#: What an event of a type must carry beyond the envelope, as `group.field`.
_ORDER = ("order.order_id", "order.status", "order.currency", "order.amount", "order.items")
REQUIRED: dict[str, tuple[str, ...]] = {
    "login": ("user.user_id",),
    "logout": ("user.user_id",),
    "search_request": ("search.query",),
    "search_response": ("search.query", "search.result_count"),
    "page_view": ("page.url",),
    "product_view": ("product.product_id",),
    "add_to_cart": ("product.product_id",),
    "remove_from_cart": ("product.product_id",),
    "order_request": _ORDER,
    "order_complete_response": _ORDER,
    "payment_failed": _ORDER,
    "order_refunded": _ORDER,
    "error": ("error.code",),
}

#: The status an order event of a type carries.
STATUS_OF: dict[str, OrderStatus] = {
    "order_request": "requested",
    "order_complete_response": "completed",
    "payment_failed": "payment_failed",
    "order_refunded": "refunded",
}


def encode(event: Event) -> bytes:
    """The JSON that goes to Kafka: UTF-8, no optional field that is null, money as a plain decimal number in a string."""
    return msgspec.json.encode(event)


def json_schema() -> dict[str, object]:
    """The published JSON Schema (draft 2020-12) of one event."""
    schema: dict[str, object] = msgspec.json.schema(Event)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "loglake event", **schema}
