-- Grain: one row per order line per order event. An order has several events (requested, paid or not, refunded), each with all its lines.
with source as (

    select * from {{ source('raw', 'log_events') }}

),

renamed as (

    select
        source.event_id,
        source.event_type,
        source.event_ts,
        source.order_id,
        line.line_number::integer as line_number,
        line.item ->> 'product_id' as product_id,
        (line.item ->> 'quantity')::integer as quantity,
        (line.item ->> 'unit_price')::numeric(12, 2) as unit_price,
        ((line.item ->> 'quantity')::integer * (line.item ->> 'unit_price')::numeric(12, 2))::numeric(12, 2) as amount,
        source.order_status,
        source.order_payment_method as payment_method,
        source.order_currency as currency,
        source.order_amount,
        source.user_id,
        source.load_id
    from source
    cross join lateral jsonb_array_elements(source.order_items) with ordinality as line (item, line_number)
    where source.event_type in ({{ order_event_types() }})

)

select * from renamed
