-- Grain: one row per order line, with the price that the shop showed when it was ordered.
select
    orders.order_sk,
    orders.product_sk,
    orders.order_id,
    orders.line_number,
    orders.ordered_at,
    orders.currency,
    orders.quantity,
    (orders.amount / orders.quantity)::numeric(12, 2) as unit_price,
    attributes.price as list_price,
    (orders.amount - orders.quantity * attributes.price)::numeric(14, 2) as difference
from {{ ref('fact_order') }} as orders
left join lateral (
    select held.attributes_sk from {{ ref('product_description') }} as held
    where held.product_sk = orders.product_sk and held.described_at <= orders.ordered_at
    order by held.described_at desc, held.description_sk desc
    limit 1
) as latest on true
left join {{ ref('product_attributes') }} as attributes on latest.attributes_sk = attributes.attributes_sk
