"""The shop and its geography, from the marts.

A range ends now, or with the newest hour that the marts hold where that is earlier: what a load or a replay brought last is always shown.
"""

from monitoring.queries import Query

_UPTO = """
with upto as (select least(now(), coalesce(max(timestamp) + interval '1 hour', now())) as at from marts.dim_date)
"""
#: What a point of a chart over time stands for.
_BUCKET = """
case when %(length)s <= interval '2 hours' then interval '5 minutes'
     when %(length)s <= interval '2 days' then interval '1 hour' else interval '1 day' end
"""
_OF_SESSION = """
    started_at > upto.at - %(length)s and started_at <= upto.at
    and (%(country)s::text is null or geo_country = %(country)s) and (%(device)s::text is null or device_type = %(device)s)
"""

#: The range (is_now), and the one of the same length before it.
SESSIONS = Query(
    "shop_sessions",
    f"""{_UPTO}
    select started_at > upto.at - %(length)s as is_now, max(upto.at) as upto,
           count(*) as sessions,
           count(*) filter (where product_views + cart_adds + order_requests + orders > 0) as viewed,
           count(*) filter (where cart_adds + order_requests + orders > 0) as added,
           count(*) filter (where order_requests + orders > 0) as requested,
           count(*) filter (where orders > 0) as bought,
           count(*) filter (where is_cart_abandoned) as abandoned,
           coalesce(sum(orders), 0)::bigint as orders
    from marts.fct_session, upto
    where started_at > upto.at - 2 * %(length)s and started_at <= upto.at
        and (%(country)s::text is null or geo_country = %(country)s) and (%(device)s::text is null or device_type = %(device)s)
    group by 1 order by 1 limit %(rows)s
    """,  # noqa: S608 - constants
    2,
    settled=True,
)
SESSIONS_OVER_TIME = Query(
    "shop_sessions_over_time",
    f"""{_UPTO}
    select date_bin({_BUCKET}, started_at, timestamptz '2020-01-01') as at, count(*) as sessions, sum(orders)::bigint as orders
    from marts.fct_session, upto where {_OF_SESSION}
    group by 1 order by 1 limit %(rows)s
    """,  # noqa: S608
    1_000,
    settled=True,
)
REVENUE = Query(
    "shop_revenue",
    f"""{_UPTO}
    select date_bin({_BUCKET}, ordered_at, timestamptz '2020-01-01') as at, currency,
           count(distinct order_id) as orders, sum(amount)::float8 as revenue
    from marts.fact_order, upto
    where status = 'completed' and ordered_at > upto.at - %(length)s and ordered_at <= upto.at
        and (%(country)s::text is null or user_sk in (select user_sk from marts.dim_users where country = %(country)s))
    group by 1, 2 order by 1, 2 limit %(rows)s
    """,  # noqa: S608
    5_000,
    settled=True,
)
PAYMENTS = Query(
    "shop_payments",
    f"""{_UPTO}
    select coalesce(payment_method, 'unknown') as payment_method, coalesce(currency, 'unknown') as currency, status,
           count(distinct order_id) as orders, sum(amount)::float8 as amount
    from marts.fact_order, upto
    where ordered_at > upto.at - %(length)s and ordered_at <= upto.at
        and (%(country)s::text is null or user_sk in (select user_sk from marts.dim_users where country = %(country)s))
    group by 1, 2, 3 order by orders desc, 1, 2, 3 limit %(rows)s
    """,  # noqa: S608
    500,
    settled=True,
)
PRODUCTS = Query(
    "shop_products",
    f"""{_UPTO},
    sold as (
        select product_sk, currency, count(distinct order_id) as orders, sum(quantity)::bigint as units, sum(amount)::float8 as revenue
        from marts.fact_order, upto
        where status = 'completed' and ordered_at > upto.at - %(length)s and ordered_at <= upto.at
        group by 1, 2
    ),
    seen as (
        select product_sk, sum(views)::bigint as views, sum(cart_adds)::bigint as cart_adds
        from marts.fct_product_day, upto
        where activity_date > (upto.at - make_interval(days => %(days)s))::date and activity_date <= upto.at::date
        group by 1
    )
    select coalesce(product_name, product_id) as product, category, sold.currency, coalesce(views, 0) as views,
           coalesce(cart_adds, 0) as cart_adds, coalesce(orders, 0) as orders, coalesce(units, 0) as units, coalesce(revenue, 0) as revenue
    from seen full join sold using (product_sk) join marts.dim_product using (product_sk)
    where product_id is not null
    order by revenue desc, views desc, product_id limit %(rows)s
    """,  # noqa: S608
    25,
    settled=True,
)
SEARCHES = Query(
    "shop_searches",
    f"""{_UPTO}
    select query, count(*) as searches, count(*) filter (where result_count = 0) as without_result,
           avg(result_count)::float8 as average_results
    from upto, marts.dim_date join marts.fact_search using (date_sk)
    where timestamp > upto.at - greatest(%(length)s, interval '1 hour') - interval '1 hour' and query is not null
    group by 1 order by 2 desc, 1 limit %(rows)s
    """,  # noqa: S608
    25,
    settled=True,
)
ERRORS = Query(
    "shop_errors",
    f"""{_UPTO}
    select coalesce(error_code, 'unknown') as error_code, coalesce(service, 'unknown') as service, count(*) as errors,
           count(distinct session_sk) as sessions
    from upto, marts.dim_date join marts.fact_error using (date_sk)
    where timestamp > upto.at - greatest(%(length)s, interval '1 hour') - interval '1 hour'
    group by 1, 2 order by 3 desc, 1, 2 limit %(rows)s
    """,  # noqa: S608
    50,
    settled=True,
)
RETENTION = Query(
    "shop_retention",
    """
    select cohort_week, weeks_since, cohort_users, active_users, retention_rate::float8 as share
    from marts.weekly_retention
    where cohort_week > (select max(activity_date) from marts.fct_user_day) - 84
    order by cohort_week, weeks_since limit %(rows)s
    """,
    200,
    settled=True,
)
COUNTRIES = Query(
    "geography_countries",
    f"""{_UPTO}
    select geo_country as country, sum(events)::bigint as events, count(*) as sessions, sum(orders)::bigint as orders,
           sum(errors)::bigint as errors
    from marts.fct_session, upto where {_OF_SESSION} and geo_country is not null
    group by 1 order by 2 desc, 1 limit %(rows)s
    """,  # noqa: S608
    300,
    settled=True,
)
#: Of one event type: sessions do not tell them apart.
COUNTRIES_OF_TYPE = Query(
    "geography_countries_of_type",
    f"""{_UPTO}
    select geo_country as country, count(*) as events
    from upto, marts.dim_date join marts.fact_event using (date_sk)
    where timestamp > upto.at - greatest(%(length)s, interval '1 hour') - interval '1 hour' and geo_country is not null
        and event_type = %(event_type)s
        and (%(country)s::text is null or geo_country = %(country)s) and (%(device)s::text is null or device_type = %(device)s)
    group by 1 order by 2 desc, 1 limit %(rows)s
    """,  # noqa: S608
    300,
    settled=True,
)
CITIES = Query(
    "geography_cities",
    f"""{_UPTO}
    select coalesce(geo_city, 'unknown') as city, count(*) as events
    from upto, marts.dim_date join marts.fact_event using (date_sk)
    where timestamp > upto.at - greatest(%(length)s, interval '1 hour') - interval '1 hour' and geo_country = %(of)s
        and (%(event_type)s::text is null or event_type = %(event_type)s)
        and (%(device)s::text is null or device_type = %(device)s)
    group by 1 order by 2 desc, 1 limit %(rows)s
    """,  # noqa: S608
    100,
    settled=True,
)
