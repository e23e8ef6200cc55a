"""The tables behind the live view in `live`: windows of event time, the newest events, and what the stream needs to go on.

Written by `consumers/live_stream.py` as the role `loader`, read by the monitor. All of it is of the last hours only.
"""

import psycopg

#: Advisory lock of the one live stream; a second one would write the same windows.
LOCK_KEY = 7_265_005

DDL = """
create table if not exists live.window_total (
    width_seconds smallint not null,
    window_start timestamptz not null,
    events bigint not null,
    users bigint not null,
    sessions bigint not null,
    orders bigint not null,
    errors bigint not null,
    latency_p50_ms double precision,
    latency_p95_ms double precision,
    latency_p99_ms double precision,
    updated_at timestamptz not null,
    primary key (width_seconds, window_start)
);
comment on table live.window_total is
    'One row per window of event time: 10 s wide, or 60 s wide and beginning every 10 s; closed once its end is not after the watermark';
comment on column live.window_total.events is 'Distinct events; a resent one counts once';
comment on column live.window_total.users is 'Distinct user_id, estimated by a HyperLogLog sketch';
comment on column live.window_total.sessions is 'Distinct session_id, estimated by a HyperLogLog sketch';
comment on column live.window_total.orders is 'Events order_complete_response';
comment on column live.window_total.errors is 'Events of type error, or with status_code 500 and above';
comment on column live.window_total.latency_p95_ms is 'Estimated by a quantile sketch; null when no event has a latency';
create table if not exists live.window_count (
    width_seconds smallint not null,
    window_start timestamptz not null,
    dimension text not null,
    key text not null,
    events bigint not null,
    primary key (width_seconds, window_start, dimension, key),
    constraint known_dimension check (
        dimension in ('event_type', 'country', 'city', 'device', 'error_code', 'product', 'search')
    )
);
comment on table live.window_count is 'One row per window and value of a dimension: how many distinct events have it';
comment on column live.window_count.key is
    'country, device: of the request; city: country/city; error_code: of events of type error; product: name in product_view, the 20 '
    'most viewed; search: text of search_request in lower case, the 20 most frequent';
create table if not exists live.window_revenue (
    width_seconds smallint not null,
    window_start timestamptz not null,
    payment_method text not null,
    currency text not null,
    orders bigint not null,
    revenue numeric not null,
    primary key (width_seconds, window_start, payment_method, currency)
);
comment on table live.window_revenue is
    'One row per window, payment method ("unknown" without one) and currency: events order_complete_response';
create table if not exists live.late_count (
    minute timestamptz primary key,
    events bigint not null
);
comment on table live.late_count is
    'One row per minute of arrival (when Kafka received it): events whose window was closed by then, so that no window counts them';
create table if not exists live.latest_event (
    topic text not null,
    partition integer not null,
    "offset" bigint not null,
    event_id uuid,
    event_time timestamptz,
    received_at timestamptz not null,
    event_type text,
    country text,
    city text,
    device text,
    user_id text,
    reject_reason text,
    payload text not null,
    primary key (topic, partition, "offset")
);
create index if not exists latest_event_received_at on live.latest_event (received_at);
comment on table live.latest_event is 'The newest records of the topic, good or bad; how many is a setting';
comment on column live.latest_event.payload is 'The event as JSON without username, email and ip; empty for a rejected record';
create table if not exists live.stream_state (
    stream text primary key,
    query_id text not null,
    topic text not null,
    topic_id text not null,
    next_offsets jsonb not null,
    batch_id bigint not null,
    batch_rows bigint not null,
    batch_rejected bigint not null,
    batch_late bigint not null,
    batch_repeated bigint not null,
    batch_ms bigint not null,
    max_event_time timestamptz,
    watermark timestamptz,
    updated_at timestamptz not null
);
comment on table live.stream_state is
    'One row: how far the windows have come, and the last batch that held records; when the stream last looked is in ops.stream_heartbeat';
comment on column live.stream_state.next_offsets is 'The offset after the last that the windows count, of each partition';
create table if not exists live.pane (
    pane_start timestamptz primary key,
    state bytea not null
);
comment on table live.pane is 'Counters and sketches of each 10 s whose windows may still change; read when the stream starts';
create table if not exists live.pane_event (
    pane_start timestamptz not null,
    batch_id bigint not null,
    query_id text not null,
    event_ids bytea not null,
    primary key (pane_start, query_id, batch_id)
);
comment on table live.pane_event is 'Ids (16 bytes each) of the events that open panes count, so that a resent one counts once';
"""

#: Every table of DDL.
TABLES = (
    "live.window_total",
    "live.window_count",
    "live.window_revenue",
    "live.late_count",
    "live.latest_event",
    "live.stream_state",
    "live.pane",
    "live.pane_event",
)

_FORGET = """
delete from live.latest_event as held
where user_id = %s or exists (
    select from ops.erased_record as erased join ops.erasure using (erasure_id)
    where finished_at is null and erased.topic = held.topic and erased.partition = held.partition and erased."offset" = held."offset"
)
"""


def forget(connection: psycopg.Connection, user_id: str) -> int:
    """Delete a person's newest events, and the records of unfinished erasures; how many. The windows hold counts and nobody's id.

    The stream writes no record that is booked as erased, so what is gone does not come back.
    """
    return connection.execute(_FORGET, [user_id]).rowcount
