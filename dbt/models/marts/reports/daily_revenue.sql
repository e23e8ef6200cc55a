-- Grain: one row per UTC day of the order, currency, payment method, category and country, with something ordered.
select
    make_date(dim_date.year, dim_date.month, dim_date.day) as order_date,
    fact_order.currency,
    fact_order.payment_method,
    dim_product.category,
    dim_users.country,
    count(distinct fact_order.order_id) filter (where fact_order.status = 'completed') as completed_orders,
    coalesce(sum(fact_order.quantity) filter (where fact_order.status = 'completed'), 0)::bigint as units,
    coalesce(sum(fact_order.amount) filter (where fact_order.status = 'completed'), 0)::numeric(14, 2) as revenue,
    coalesce(sum(fact_order.amount) filter (where fact_order.status = 'refunded'), 0)::numeric(14, 2) as refunded,
    coalesce(sum(fact_order.amount) filter (where fact_order.status = 'payment_failed'), 0)::numeric(14, 2) as payment_failed,
    coalesce(sum(fact_order.amount) filter (where fact_order.status = 'requested'), 0)::numeric(14, 2) as unpaid
from {{ ref('fact_order') }} as fact_order
inner join {{ ref('dim_date') }} as dim_date on fact_order.date_sk = dim_date.date_sk
inner join {{ ref('dim_product') }} as dim_product on fact_order.product_sk = dim_product.product_sk
inner join {{ ref('dim_users') }} as dim_users on fact_order.user_sk = dim_users.user_sk
group by 1, 2, 3, 4, 5
