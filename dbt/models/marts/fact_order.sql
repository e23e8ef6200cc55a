-- Grain: one row per order line.
-- Events of an order come in any sequence and in different loads. Whenever a load holds one, the order is computed again from all of
-- them, so the row is the same whatever the sequence: the event with the strongest status (order_status_rank) decides, the latest of
-- that status if there are several, and its lines are the order's lines. The date is the order's first event; a user or payment method
-- that the deciding event does not name comes from the next strongest that does.
{{
    config(
        incremental_strategy='delete+insert',
        unique_key='order_id',
        indexes=[{'columns': ['order_id']}, {'columns': ['load_id']}],
    )
}}

{% set strongest_first = order_status_rank('order_status') ~ ' desc, event_ts desc, event_id desc' %}

with order_lines as (

    {% if is_incremental() %}
        -- OFFSET 0 keeps the lookup a lookup: one index probe per touched order, never a scan of the history.
        with touched as (
            select distinct order_id from {{ ref('stg_orders') }}
            where {{ is_new() }}
        )

        select history.* from touched
        cross join lateral (
            select lines.* from {{ ref('stg_orders') }} as lines
            where lines.order_id = touched.order_id and lines.load_id <= {{ horizon() }}
            offset 0
        ) as history
    {% else %}
        select * from {{ ref('stg_orders') }}
        where {{ is_new() }}
    {% endif %}

),

orders as (

    select
        order_id,
        min(event_ts) as ordered_at,
        max(load_id) as load_id,
        (array_agg(event_id order by {{ strongest_first }}))[1] as deciding_event_id,
        (array_agg(user_id order by {{ strongest_first }}) filter (where user_id is not null))[1] as user_id,
        (array_agg(payment_method order by {{ strongest_first }}) filter (where payment_method is not null))[1] as payment_method
    from order_lines
    group by order_id

)

select
    {{ surrogate_key(['orders.order_id', 'order_lines.line_number']) }} as order_sk,
    {{ member_key('orders.user_id') }} as user_sk,
    {{ member_key('order_lines.product_id') }} as product_sk,
    {{ date_key('orders.ordered_at') }} as date_sk,
    order_lines.quantity,
    order_lines.amount,
    orders.payment_method,
    order_lines.order_status as status,
    orders.order_id,
    order_lines.line_number,
    order_lines.currency,
    orders.load_id,
    orders.ordered_at
from orders
inner join order_lines on orders.deciding_event_id = order_lines.event_id
