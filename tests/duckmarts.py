"""Marts reckoned a second time, by DuckDB from the lake's Parquet files: the meaning of the contract in other words than the models'.

Nothing here knows of loads, positions or keys: events are taken as a whole, and orders, sessions and days are what they say.
"""

from collections import Counter
from pathlib import Path
from typing import Any

import duckdb

from loglake import clients, lake
from loglake.tables import path_of

_PREPARED = """
create table event as
select * exclude (event_ts), make_timestamp(epoch_us(event_ts)) as moment
from read_parquet(?, union_by_name => true)
where reject_reason is null
qualify row_number() over (partition by event_id order by kafka_timestamp, "offset") = 1;

create table product as
select
    product_id,
    arg_max(coalesce(product_category, ''), (moment, event_id)) filter (where described) as category,
    arg_max(coalesce(product_name, ''), (moment, event_id)) filter (where described) as product_name,
    arg_max(coalesce(product_stock, -1), (moment, event_id)) filter (where described) as stock
from (
    select *, coalesce(product_name, product_category, product_subcategory, product_brand, product_description,
                       product_price::varchar, product_stock::varchar, product_rating::varchar) is not null as described
    from event where product_id is not null
    union all by name
    select unnest(order_items).product_id as product_id, false as described from event
)
group by product_id;

create table shopper as
select user_id, arg_max(coalesce(user_country, ''), (moment, event_id)) filter (where described) as country
from (
    select *, coalesce(user_username, user_email, user_sex, user_age::varchar, user_country, user_city) is not null as described
    from event where user_id is not null
)
group by user_id;

create table purchase as
with told as (
    select *, list_position(['requested', 'payment_failed', 'completed', 'refunded'], order_status) as strength
    from event
    where event_type in ('order_request', 'payment_failed', 'order_complete_response', 'order_refunded')
)
select
    order_id,
    min(moment)::date as ordered_on,
    max(strength) as strength,
    arg_max(order_status, (strength, moment, event_id)) as status,
    arg_max(order_currency, (strength, moment, event_id)) as currency,
    arg_max(order_items, (strength, moment, event_id)) as items,
    arg_max(order_amount, (strength, moment, event_id)) as amount,
    arg_max(user_id, (strength, moment, event_id)) filter (where user_id is not null) as user_id,
    arg_max(order_payment_method, (strength, moment, event_id)) filter (where order_payment_method is not null) as payment_method
from told
group by order_id;

create table line as
select * exclude (items, item), item.product_id, item.quantity, (item.quantity * item.unit_price)::decimal(12, 2) as price
from (select *, unnest(items) as item from purchase);

create table session as
select
    session_id,
    arg_min(user_id, (moment, event_id)) filter (where user_id is not null) as user_id,
    min(moment) as first,
    max(moment) as last,
    count(*) as events,
    count_if(event_type = 'search_request') as searches,
    count_if(event_type = 'product_view') as views,
    count_if(event_type = 'add_to_cart') as adds,
    count_if(event_type = 'order_request') as requests,
    count_if(event_type = 'order_complete_response') as orders,
    count_if(event_type = 'error') as errors,
    coalesce(sum(order_amount) filter (where event_type = 'order_complete_response'), 0) as revenue,
    first(device_type order by moment, event_id) as device,
    first(geo_country order by moment, event_id) as country,
    first(event_type order by moment, event_id) as entry,
    last(event_type order by moment, event_id) as exit
from event
group by session_id;
"""

#: Of each mart: what DuckDB makes of the lake, and the same columns in Postgres.
MARTS = {
    "fct_session": (
        """select session_id, user_id, first, last, (date_diff('microsecond', first, last) + 500) // 1000, events, searches, views, adds,
                  requests, orders, errors, revenue, adds > 0 and orders = 0, entry, exit, device, country from session""",
        """select session_id, user_id, started_at at time zone 'UTC', ended_at at time zone 'UTC', (duration_seconds * 1000)::bigint,
                  events, searches, product_views, cart_adds, order_requests, orders, errors, revenue, is_cart_abandoned, entry_type,
                  exit_type, device_type, geo_country from marts.fct_session join marts.dim_users using (user_sk)""",
    ),
    "fact_order": (
        "select order_id, status, currency, payment_method, user_id, ordered_on, product_id, quantity, price from line",
        """select order_id, status, currency, payment_method, user_id, (ordered_at at time zone 'UTC')::date, product_id, quantity, amount
           from marts.fact_order join marts.dim_users using (user_sk) join marts.dim_product using (product_sk)""",
    ),
    "daily_revenue": (
        """select ordered_on, currency, payment_method, nullif(category, ''), nullif(country, ''),
                  count(distinct order_id) filter (where status = 'completed'),
                  coalesce(sum(quantity) filter (where status = 'completed'), 0),
                  coalesce(sum(price) filter (where status = 'completed'), 0),
                  coalesce(sum(price) filter (where status = 'refunded'), 0),
                  coalesce(sum(price) filter (where status = 'payment_failed'), 0),
                  coalesce(sum(price) filter (where status = 'requested'), 0)
           from line left join product using (product_id) left join shopper using (user_id) group by all""",
        """select order_date, currency, payment_method, category, country, completed_orders, units, revenue, refunded, payment_failed,
                  unpaid from marts.daily_revenue""",
    ),
    "fct_daily_user_metrics": (
        "select moment::date, event_type, count(*), count(distinct user_id) from event group by all",
        "select activity_date, event_type, event_count, unique_users from marts.fct_daily_user_metrics",
    ),
    "conversion_funnel": (
        """with furthest as (
               select *, case when orders > 0 then 4 when requests > 0 then 3 when adds > 0 then 2 when views > 0 then 1 else 0 end as step
               from session
           )
           select first::date, device, country, count(*), count_if(step >= 1), count_if(step >= 2), count_if(step >= 3), count_if(step = 4),
                  count_if(adds > 0 and step < 4) from furthest group by all""",
        """select session_date, device_type, geo_country, sessions, viewed, added, requested, bought, abandoned_carts
           from marts.conversion_funnel""",
    ),
    "product_performance": (
        """with looked_at as (
               select product_id, count_if(event_type = 'product_view') as views, count_if(event_type = 'add_to_cart') as adds
               from event group by product_id
           ), sold as (
               select product_id, currency, count(distinct order_id) as orders, sum(quantity) as units, sum(price) as revenue
               from line where status = 'completed' group by all
           )
           select product_id, nullif(product_name, ''), currency, coalesce(views, 0), coalesce(adds, 0), coalesce(orders, 0),
                  coalesce(units, 0), coalesce(revenue, 0), coalesce(stock = 0, false)
           from product left join looked_at using (product_id) left join sold using (product_id)""",
        """select product_id, product_name, currency, views, cart_adds, orders, units, revenue, is_out_of_stock
           from marts.product_performance""",
    ),
    "error_analysis": (
        """with met as (
               select distinct moment::date as day, service, error_code, session_id from event where event_type = 'error'
           ), counted as (
               select moment::date as day, service, error_code, count(*) as errors from event where event_type = 'error' group by all
           )
           select day, service, error_code, any_value(counted.errors), count(*), count_if(orders = 0), sum(revenue)
           from met join counted using (day, service, error_code) join session using (session_id) group by day, service, error_code""",
        """select error_date, service, error_code, errors, affected_sessions, affected_sessions_without_order, revenue_of_affected_sessions
           from marts.error_analysis""",
    ),
}
Rows = Counter[tuple[Any, ...]]


def download(folder: Path) -> list[str]:
    """Every data file of the lake's current snapshot into `folder`; their paths."""
    bronze, client = lake.table(), clients.webhdfs()
    assert bronze is not None
    sources = [path_of(file.file_path) for file in lake.data_files(bronze)]
    return [client.download(source, str(folder / f"{number}.parquet")) for number, source in enumerate(sources)]


def prepare(files: list[str]) -> duckdb.DuckDBPyConnection:
    """A DuckDB with the lake's events, each once, and what they say of orders, sessions, products and users."""
    engine = duckdb.connect()
    first, *others = _PREPARED.split(";\n")
    engine.execute(first, [files])
    for statement in others:
        engine.execute(statement)
    return engine


def reckoned(engine: duckdb.DuckDBPyConnection, mart: str) -> Rows:
    """The rows of a mart as DuckDB has them."""
    return Counter(engine.execute(MARTS[mart][0]).fetchall())


def held(mart: str) -> Rows:
    """The rows of a mart as an analyst reads them."""
    with clients.postgres("bi_reader") as connection:
        return Counter(connection.execute(MARTS[mart][1]).fetchall())  # type: ignore[call-overload]
