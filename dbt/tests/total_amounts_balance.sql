-- Stops: number of orders and their amount by day, currency and status differ between fact_order and the orders' own totals in raw, where
-- each order counts once, with its strongest event, on the day of its first. Computed another way than fact_order: from whole orders, not
-- lines. An order that began before the months that raw keeps is left out: raw may lack its events. Reads everything: `full`.
{{ config(tags=['full']) }}

with retired as (

    select distinct order_id from {{ ref('fact_order') }}
    where {{ is_retired('ordered_at') }}

),

told_orders as (

    select distinct on (order_id)
        order_id,
        order_status as status,
        coalesce(order_currency, '') as currency,
        order_amount,
        min(event_ts) over (partition by order_id) as ordered_at
    from {{ source('raw', 'log_events') }} as told
    where
        event_type in ({{ order_event_types() }})
        and load_id <= {{ reach() }}
        and not exists (
            select 1 from retired
            where retired.order_id = told.order_id
        )
    order by order_id asc, {{ order_status_rank('order_status') }} desc, event_ts desc, event_id desc

),

told as (

    select
        (ordered_at at time zone 'UTC')::date as order_date,
        currency,
        status,
        count(*) as orders,
        sum(order_amount) as amount
    from told_orders
    group by order_date, currency, status

),

held as (

    select
        to_date((date_sk / 100)::text, 'YYYYMMDD') as order_date,
        coalesce(currency, '') as currency,
        status,
        count(distinct order_id) as orders,
        sum(amount) as amount
    from {{ ref('fact_order') }}
    where not {{ is_retired('ordered_at') }}
    group by order_date, coalesce(currency, ''), status

)

select
    coalesce(told.order_date, held.order_date) as order_date,
    coalesce(told.currency, held.currency) as currency,
    coalesce(told.status, held.status) as status,
    told.orders as orders_told,
    held.orders as orders_held,
    told.amount as amount_told,
    held.amount as amount_held
from told
full outer join held
    on (told.order_date, told.currency, told.status) = (held.order_date, held.currency, held.status)
where (told.orders, told.amount) is distinct from (held.orders, held.amount)
