-- Grain: one row per session.
-- Each event is a part of its session, and so is the row that is there already: a session is the sum of its parts. All measures can be put
-- together from parts (sums, the earliest, the latest), so events that come in other loads, late or out of order end in the same row, and
-- a run reads the new events and the rows of their sessions only.
-- The long index holds all that the monitor asks of the sessions of a range (monitoring/queries/marts.py): it reads no row of the table.
{{
    config(
        incremental_strategy='merge',
        unique_key='session_sk',
        indexes=[
            {'columns': ['load_id']},
            {'columns': [
                'started_at', 'geo_country', 'device_type', 'product_views', 'cart_adds', 'order_requests', 'orders',
                'is_cart_abandoned', 'events', 'errors',
            ]},
        ],
    )
}}

{% set at_entry = 'order by started_at, entry_event_id' %}
{% set at_exit = 'order by ended_at desc, exit_event_id desc' %}

with events as (

    select
        {{ surrogate_key(['session_id']) }} as session_sk,
        *
    from {{ ref('stg_event') }}
    where {{ is_new() }}

),

parts as (

    select
        session_sk,
        session_id,
        case when user_id is not null then {{ surrogate_key(['user_id']) }} end as user_sk,
        case when user_id is not null then event_ts end as identified_at,
        event_ts as started_at,
        event_ts as ended_at,
        event_id as entry_event_id,
        event_id as exit_event_id,
        event_type as entry_type,
        event_type as exit_type,
        {{ page_of('page_url') }} as entry_page,
        {{ page_of('page_url') }} as exit_page,
        {{ page_of('page_referrer') }} as referrer,
        page_utm_source as utm_source,
        page_utm_medium as utm_medium,
        page_utm_campaign as utm_campaign,
        device_type,
        geo_country,
        1 as events,
        (event_type = 'page_view')::integer as page_views,
        (event_type = 'search_request')::integer as searches,
        (event_type = 'product_view')::integer as product_views,
        (event_type = 'add_to_cart')::integer as cart_adds,
        (event_type = 'remove_from_cart')::integer as cart_removes,
        (event_type = 'order_request')::integer as order_requests,
        (event_type = 'order_complete_response')::integer as orders,
        (event_type = 'payment_failed')::integer as payment_failures,
        (event_type = 'order_refunded')::integer as refunds,
        (event_type = 'error')::integer as errors,
        case when event_type = 'order_complete_response' then coalesce(order_amount, 0) else 0 end as revenue,
        case when event_type = 'order_complete_response' then order_currency end as currency,
        load_id
    from events
    {% if is_incremental() %}
        union all
        select
            session_sk,
            session_id,
            nullif(user_sk, {{ unknown_key() }}) as user_sk,
            identified_at,
            started_at,
            ended_at,
            entry_event_id,
            exit_event_id,
            entry_type,
            exit_type,
            entry_page,
            exit_page,
            referrer,
            utm_source,
            utm_medium,
            utm_campaign,
            device_type,
            geo_country,
            events,
            page_views,
            searches,
            product_views,
            cart_adds,
            cart_removes,
            order_requests,
            orders,
            payment_failures,
            refunds,
            errors,
            revenue,
            currency,
            load_id
        from {{ this }}
        where session_sk in (select distinct events.session_sk from events)
    {% endif %}

)

select
    session_sk,
    session_id,
    coalesce(
        (array_agg(user_sk order by identified_at, user_sk) filter (where user_sk is not null))[1], {{ unknown_key() }}
    ) as user_sk,
    {{ date_key('min(started_at)') }} as date_sk,
    min(started_at) as started_at,
    max(ended_at) as ended_at,
    extract(epoch from max(ended_at) - min(started_at))::numeric(12, 3) as duration_seconds,
    sum(events)::integer as events,
    sum(page_views)::integer as page_views,
    sum(searches)::integer as searches,
    sum(product_views)::integer as product_views,
    sum(cart_adds)::integer as cart_adds,
    sum(cart_removes)::integer as cart_removes,
    sum(order_requests)::integer as order_requests,
    sum(orders)::integer as orders,
    sum(payment_failures)::integer as payment_failures,
    sum(refunds)::integer as refunds,
    sum(errors)::integer as errors,
    sum(revenue)::numeric(14, 2) as revenue,
    case when min(currency) = max(currency) then min(currency) when min(currency) is not null then 'XXX' end as currency,
    sum(cart_adds) > 0 and sum(orders) = 0 as is_cart_abandoned,
    (array_agg(entry_type {{ at_entry }}))[1] as entry_type,
    (array_agg(exit_type {{ at_exit }}))[1] as exit_type,
    (array_agg(entry_page {{ at_entry }}))[1] as entry_page,
    (array_agg(exit_page {{ at_exit }}))[1] as exit_page,
    (array_agg(referrer {{ at_entry }}))[1] as referrer,
    (array_agg(utm_source {{ at_entry }}))[1] as utm_source,
    (array_agg(utm_medium {{ at_entry }}))[1] as utm_medium,
    (array_agg(utm_campaign {{ at_entry }}))[1] as utm_campaign,
    (array_agg(device_type {{ at_entry }}))[1] as device_type,
    (array_agg(geo_country {{ at_entry }}))[1] as geo_country,
    min(identified_at) as identified_at,
    (array_agg(entry_event_id {{ at_entry }}))[1] as entry_event_id,
    (array_agg(exit_event_id {{ at_exit }}))[1] as exit_event_id,
    max(load_id) as load_id
from parts
group by session_sk, session_id
