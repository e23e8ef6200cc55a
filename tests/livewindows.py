"""Rows of `live` as the live stream would write them, from events: for tests of what reads them."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg

from loglake import clients
from loglake.events import Event, encode

TEN, MINUTE = timedelta(seconds=10), timedelta(seconds=60)


def fill_live(database: str, events: Sequence[Event], now: datetime) -> None:
    """Windows, newest events and the state, as of a stream that has just counted these events."""
    with clients.postgres("loader", database) as connection, connection.transaction():
        for width, held in windows(events).items():
            for start, inside in held.items():
                _window(connection, width, start, inside, now)
        _tail(connection, sorted(events, key=lambda event: event.event_ts)[-500:])
        newest = max(event.event_ts for event in events)
        connection.execute("insert into ops.stream_heartbeat values ('live', 'q', 'r', %s, 0)", [now])
        connection.execute("insert into live.late_count values (%s, 3), (%s, 1)", [newest - 2 * MINUTE, newest - MINUTE])
        connection.execute(
            "insert into live.stream_state values ('live', 'q', 'LogEvents', 't', '{}', 7, %s, 0, 4, 0, 350, %s, %s, %s)",
            [len(events), newest, newest - TEN, now],
        )


def windows(events: Iterable[Event]) -> dict[int, dict[datetime, list[Event]]]:
    """By width and start: tumbling ones of 10 s, and sliding ones of 60 s that begin every 10 s."""
    found: dict[int, dict[datetime, list[Event]]] = {10: defaultdict(list), 60: defaultdict(list)}
    for event in events:
        start = event.event_ts.replace(microsecond=0) - timedelta(seconds=event.event_ts.second % 10)
        found[10][start].append(event)
        for step in range(6):
            found[60][start - step * TEN].append(event)
    return found


def _window(connection: psycopg.Connection, width: int, start: datetime, events: list[Event], now: datetime) -> None:
    latencies = sorted(event.latency_ms for event in events if event.latency_ms is not None)
    quantiles = [float(latencies[int(share * (len(latencies) - 1))]) if latencies else None for share in (0.5, 0.95, 0.99)]
    paid = [event for event in events if event.event_type == "order_complete_response"]
    users = len({event.user.user_id for event in events if event.user})
    failed = sum(event.event_type == "error" or (event.status_code or 0) >= 500 for event in events)
    connection.execute(
        "insert into live.window_total values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        [width, start, len(events), users, len({event.session_id for event in events}), len(paid), failed, *quantiles, now],
    )
    counted = Counter(key for event in events for key in _keys(event))
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into live.window_count values (%s, %s, %s, %s, %s)", [(width, start, *key, count) for key, count in counted.items()]
        )
        revenue: dict[tuple[str, str], list[Decimal]] = defaultdict(list)
        for event in paid:
            if event.order and event.order.amount is not None:
                revenue[event.order.payment_method or "unknown", event.order.currency or "unknown"].append(event.order.amount)
        cursor.executemany(
            "insert into live.window_revenue values (%s, %s, %s, %s, %s, %s)",
            [(width, start, *key, len(amounts), sum(amounts)) for key, amounts in revenue.items()],
        )


def _keys(event: Event) -> Iterable[tuple[str, str]]:
    yield "event_type", event.event_type
    if event.geo and event.geo.country:
        yield "country", event.geo.country
        if event.geo.city:
            yield "city", f"{event.geo.country}/{event.geo.city}"
    if event.device and event.device.type:
        yield "device", event.device.type
    if event.event_type == "error" and event.error:
        yield "error_code", event.error.code
    if event.event_type == "product_view" and event.product and event.product.product_name:
        yield "product", event.product.product_name
    if event.event_type == "search_request" and event.search and event.search.query:
        yield "search", event.search.query.lower()


def _tail(connection: psycopg.Connection, events: Sequence[Event]) -> None:
    rows: list[tuple[Any, ...]] = []
    for offset, event in enumerate(events):
        payload = json.loads(encode(event))
        for group, field in (("user", "username"), ("user", "email"), ("geo", "ip")):
            (payload.get(group) or {}).pop(field, None)
        geo, device, user = event.geo, event.device, event.user
        rows.append(("LogEvents", 0, offset, event.event_id, event.event_ts, event.sent_at, event.event_type, geo and geo.country,
                     geo and geo.city, device and device.type, user and user.user_id, None, json.dumps(payload)))  # fmt: skip
    newest = events[-1].sent_at
    rows.append(("LogEvents", 1, 0, None, None, newest, None, None, None, None, None, "not_json: byte 0", ""))
    places = ", ".join(["%s"] * len(rows[0]))
    with connection.cursor() as cursor:
        cursor.executemany(f"insert into live.latest_event values ({places})".encode(), rows)
