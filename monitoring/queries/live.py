"""The live windows, the newest events, and what the live stream says of itself.

Windows are of event time, so a range ends at the newest window that is full, not at this moment: a replay of the last hours shows as live,
and a producer whose clock is ahead moves nothing. One that is still filling would show as a fall. Ranges up to 15 minutes are shown by
windows of 10 s, longer ones by every sixth of the sliding windows of 60 s, which touch without overlap.
"""

from monitoring.queries import Query

#: Of the windows wanted: those of the width that the range asks for.
WINDOWS = """
with newest as (
    select max(window_start) as at from live.window_total where width_seconds = 10 and window_start <= now() - interval '12 seconds'
),
wanted as (
    select total.* from live.window_total as total, newest
    where width_seconds = case when %(length)s <= interval '15 minutes' then 10 else 60 end
        and window_start > newest.at - %(length)s
        and window_start + make_interval(secs => width_seconds) <= newest.at + interval '10 seconds'
        and (width_seconds = 10 or extract(second from window_start) = 0)
)
"""

TOTALS = Query(
    "live_totals",
    f"""{WINDOWS}
    select window_start, width_seconds, events, users, sessions, orders, errors,
           latency_p50_ms, latency_p95_ms, latency_p99_ms, updated_at
    from wanted order by window_start limit %(rows)s
    """,  # noqa: S608 - a constant
    10_000,
)
#: The newest window of 60 s that is full, and what was under way to it has come.
_MINUTES_UPTO = """
with upto as (
    select max(window_start) - interval '50 seconds' as at from live.window_total
    where width_seconds = 10 and window_start <= now() - interval '12 seconds'
)
"""
#: The windows of the last quarter of an hour, for the figures and their lines.
MINUTES = Query(
    "live_minutes",
    f"""{_MINUTES_UPTO}
    select total.window_start, events, users, sessions, orders, errors, latency_p95_ms
    from live.window_total as total, upto
    where width_seconds = 60 and total.window_start <= upto.at and total.window_start > upto.at - interval '15 minutes'
    order by total.window_start limit %(rows)s
    """,  # noqa: S608 - a constant
    200,
)
REVENUE_MINUTES = Query(
    "live_revenue_minutes",
    f"""{_MINUTES_UPTO}
    select paid.window_start, currency, sum(paid.orders)::bigint as orders, sum(revenue)::float8 as revenue
    from live.window_revenue as paid, upto
    where width_seconds = 60 and paid.window_start <= upto.at and paid.window_start > upto.at - interval '15 minutes'
    group by 1, 2 order by 1, 2 limit %(rows)s
    """,  # noqa: S608
    2_000,
)
#: One dimension over time: its greatest keys, the others together, also those that the stream put together as `(other)`.
BY_KEY = Query(
    "live_by_key",
    f"""{WINDOWS},
    counted as (
        select held.window_start, held.key, held.events, wanted.width_seconds from wanted
        join live.window_count as held using (width_seconds, window_start)
        where held.dimension = %(dimension)s
    ),
    greatest_keys as (select key from counted where key <> '(other)' group by key order by sum(events) desc, key limit %(keys)s)
    select window_start, width_seconds, coalesce(greatest_keys.key, 'other') as key, sum(events)::bigint as events
    from counted left join greatest_keys using (key)
    group by 1, 2, 3 order by 1, 3 limit %(rows)s
    """,  # noqa: S608 - a constant
    20_000,
)
#: One dimension over the whole range.
KEYS = Query(
    "live_keys",
    f"""{WINDOWS}
    select held.key, sum(held.events)::bigint as events from wanted
    join live.window_count as held using (width_seconds, window_start)
    where held.dimension = %(dimension)s and (%(only)s::text is null or held.key = %(only)s)
    group by 1 order by 2 desc, 1 limit %(rows)s
    """,  # noqa: S608 - a constant
    500,
)
#: A key is country/city: what follows the country is the city, also where that has a slash of its own.
CITIES = Query(
    "live_cities",
    f"""{WINDOWS}
    select substr(held.key, length(%(of)s::text) + 2) as city, sum(held.events)::bigint as events from wanted
    join live.window_count as held using (width_seconds, window_start)
    where held.dimension = 'city' and starts_with(held.key, %(of)s::text || '/')
    group by 1 order by 2 desc, 1 limit %(rows)s
    """,  # noqa: S608 - a constant
    100,
)
PAYMENTS = Query(
    "live_payments",
    f"""{WINDOWS}
    select payment_method, currency, sum(paid.orders)::bigint as orders, sum(paid.revenue)::float8 as revenue
    from wanted join live.window_revenue as paid using (width_seconds, window_start)
    group by 1, 2 order by orders desc, 1 limit %(rows)s
    """,  # noqa: S608 - a constant
    200,
)
#: One of the filters, by which the windows count; they count by one dimension at a time.
SELECTED = Query(
    "live_selected",
    f"""{WINDOWS}
    select wanted.window_start, wanted.width_seconds, coalesce(held.events, 0) as events from wanted
    left join live.window_count as held
        on held.width_seconds = wanted.width_seconds and held.window_start = wanted.window_start
        and held.dimension = %(dimension)s and held.key = %(only)s
    order by 1 limit %(rows)s
    """,  # noqa: S608 - a constant
    10_000,
)
TAIL = Query(
    "live_tail",
    """
    select received_at, event_time, event_type, country, city, device, user_id, reject_reason,
           topic, partition, "offset", event_id::text as event_id, payload
    from live.latest_event
    where (%(country)s::text is null or country = %(country)s)
        and (%(event_type)s::text is null or event_type = %(event_type)s)
        and (%(device)s::text is null or device = %(device)s)
        and (%(search)s::text = '' or position(lower(%(search)s) in lower(payload)) > 0)
    order by received_at desc, partition, "offset" desc limit %(rows)s
    """,
    100,
)
STATE = Query(
    "live_state",
    """
    select stream, state.batch_id, batch_rows, batch_rejected, batch_late, batch_repeated, batch_ms, max_event_time, watermark, updated_at,
           extract(epoch from now() - updated_at)::float8 as age_seconds, extract(epoch from now() - seen_at)::float8 as silent_seconds
    from live.stream_state as state left join ops.stream_heartbeat as beat using (stream)
    limit %(rows)s
    """,
    1,
)
LATE = Query(
    "live_late",
    """
    select minute, events from live.late_count
    where minute > now() - %(length)s order by minute limit %(rows)s
    """,
    2_000,
)
COUNTRIES = Query(
    "countries",
    "select spelling as country from raw.ref_country where country_code is not null order by 1 limit %(rows)s",
    400,
    settled=True,
)
LIVE_COUNTRIES = Query(
    "live_countries",
    """
    select distinct key as country from live.window_count
    where width_seconds = 60 and dimension = 'country'
        and window_start > (
            select max(window_start) from live.window_total where width_seconds = 60 and window_start <= now()
        ) - interval '10 minutes'
    order by 1 limit %(rows)s
    """,
    400,
    settled=True,
)
