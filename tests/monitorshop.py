"""A shop that has been open for four weeks and is busy now: marts that dbt built, live windows, incidents; what the monitor shows."""

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import chain

from psycopg.types.json import Jsonb

from loglake import clients
from producers import pools
from producers.generator import shop_events
from tests.livewindows import fill_live
from tests.starloads import build
from tests.warehouserows import deliver

DAYS = 28
#: Events of the past weeks, and of the last minutes.
PAST, RECENT = 15_000, 1_500
RECENT_MINUTES = 20
_RECIPE = pools.Recipe(users=200, products=80)


def fill(database: str, now: datetime | None = None) -> datetime:
    """Fill an empty warehouse; the moment that is `now` in it."""
    moment = (now or datetime.now(UTC)).replace(microsecond=0)
    made = pools.make(_RECIPE)
    old = list(shop_events(made, "past", past(moment), 12))
    new = list(shop_events(made, "recent", recent(moment), 60))
    deliver(database, 1, old, rejected=40)
    deliver(database, 2, [*new, *new[:25]], rejected=6)
    _spread_rejects(database, moment)
    build(database)
    fill_live(database, new, moment)
    _tell_of_operations(database, moment)
    return moment


def past(now: datetime) -> Iterator[float]:
    """Moments of the last weeks, but for the recent minutes: more by day than by night, and more each week."""
    start = (now - timedelta(days=DAYS)).timestamp()
    seconds = timedelta(days=DAYS, minutes=-RECENT_MINUTES).total_seconds()
    weights = [(1.2 + math.sin(2 * math.pi * (hour % 24 - 9) / 24)) * (1 + hour / (48 * DAYS)) for hour in range(24 * DAYS)]
    total = sum(weights)
    counts = [round(PAST * weight / total) for weight in weights]
    width = seconds / len(weights)
    return chain.from_iterable(
        (start + (hour + (number + 0.5) / count) * width for number in range(count)) for hour, count in enumerate(counts) if count
    )


def recent(now: datetime) -> Iterator[float]:
    """Moments of the last minutes: a rate that swells and falls."""
    length = RECENT_MINUTES * 60
    start = now.timestamp() - length
    for number in range(RECENT):
        share = number / RECENT
        yield start + length * (share + 0.03 * math.sin(share * 24) * share * (1 - share) * 4)


def _spread_rejects(database: str, now: datetime) -> None:
    """Rejects of several reasons and days, where `deliver` makes them all alike."""
    reasons = ("not_json: byte 17", "missing_field: session_id", "wrong_type: latency_ms", "unknown_version: 9")
    with clients.postgres("postgres", database) as connection:
        connection.execute(
            """
            with numbered as (select topic, partition, "offset", row_number() over (order by "offset") as number from raw.rejected_events)
            update raw.rejected_events as held
            set kafka_timestamp = %s - number * number * interval '12 minutes', reject_reason = (%s::text[])[1 + number %% 7 %% 4]
            from numbered where (numbered.topic, numbered.partition, numbered."offset") = (held.topic, held.partition, held."offset")
            """,
            [now, list(reasons)],
        )


def _tell_of_operations(database: str, now: datetime) -> None:
    with clients.postgres("loader", database) as connection:
        for number in range(60):
            rows = 240 + 30 * (number % 5)
            connection.execute(
                "insert into ops.stream_progress values ('q', %s, 'r', 'LogEvents', %s, %s, %s, %s, null, %s, 0, 2.5)",
                [number, now - timedelta(seconds=20 * (60 - number)), 900 + 40 * (number % 7), rows, number % 3,
                 Jsonb({"0": 200 * (number + 1), "1": 180 * (number + 1)})],
            )  # fmt: skip
        connection.execute("insert into ops.stream_heartbeat values ('lake', 'q', 'r', %s, 0)", [now])
        _incidents(connection, now)


def _incidents(connection: object, now: datetime) -> None:
    insert = (
        "insert into ops.incident (key, title, severity, anchor, detail, opened_at, told_at, reminders, relapses, recovered_at) "
        "values (%s, %s, %s, %s, %s, %s, %s, 0, 0, %s)"
    )
    rows = [
        (
            "reject_rate",
            "Many records are rejected",
            "warning",
            "reject-rate",
            "120 of 1,900 records that came were rejected (6.3 %)",
            26,
            24,
        ),
        ("service_down:Kafka", "Service down: Kafka", "critical", "service-down", "no broker answers at 127.0.0.1:9092", 5, 4),
        ("latency", "Answers are slow", "warning", "latency", "95 % of 8,214 events answered within 1,240 ms", 1, None),
    ]
    for key, title, severity, anchor, detail, opened, over in rows:
        moments = [now - timedelta(hours=opened)] * 2 + [None if over is None else now - timedelta(hours=over)]
        connection.execute(insert, [key, title, severity, anchor, detail, *moments])  # type: ignore[attr-defined]
    told = (
        "insert into ops.outbox (incident_id, kind, subject, body, created_at) values (2, 'opened', 'PROBLEM: Service down: Kafka', %s, %s)"
    )
    connection.execute(told, ["no broker answers", now - timedelta(hours=5)])  # type: ignore[attr-defined]
