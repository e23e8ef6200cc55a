-- Stops: number of orders and their amount by status differ between fact_order and the orders' own totals in raw, where each order counts
-- once, with its strongest event. Computed another way than fact_order: from whole orders, not lines. Reads everything: `full`.
{{ config(tags=['full']) }}

with orders as (

    select distinct on (order_id)
        order_id,
        order_status,
        order_amount
    from {{ source('raw', 'log_events') }}
    where event_type in ({{ order_event_types() }}) and load_id <= {{ reach() }}
    order by order_id asc, {{ order_status_rank('order_status') }} desc, event_ts desc, event_id desc

),

told as (

    select
        order_status as status,
        count(*) as orders,
        sum(order_amount) as amount
    from orders
    group by order_status

),

held as (

    select
        status,
        count(distinct order_id) as orders,
        sum(amount) as amount
    from {{ ref('fact_order') }}
    group by status

)

select
    coalesce(told.status, held.status) as status,
    told.orders as orders_told,
    held.orders as orders_held,
    told.amount as amount_told,
    held.amount as amount_held
from told
full outer join held on told.status = held.status
where (told.orders, told.amount) is distinct from (held.orders, held.amount)
