-- Grain: one row per product, plus the unknown member. The row is the latest description of the product (macros/members.sql).
-- A line of an order is a mention: a product that only order lines name has a row.
{{ config(incremental_strategy='merge', unique_key='product_sk', indexes=[{'columns': ['load_id']}]) }}

with mentions as (

    select
        product_id,
        product_name,
        category,
        subcategory,
        brand,
        description,
        price,
        stock,
        rating,
        event_type,
        is_description,
        event_ts,
        event_id,
        load_id
    from {{ ref('stg_products') }}
    where {{ is_new() }}
    union all
    select
        product_id,
        {{ nulls(8) }},
        event_type,
        false,
        event_ts,
        event_id,
        load_id
    from {{ ref('stg_orders') }}
    where {{ is_new() }}

),

latest as (

    {{ latest_mentions('product_id') }}

),

keyed as (

    select
        {{ surrogate_key(['product_id']) }} as product_sk,
        product_id,
        product_name,
        category,
        subcategory,
        brand,
        description,
        price::numeric(12, 2) as price,
        stock,
        rating::numeric(3, 2) as rating,
        event_type as source,
        is_description as is_described,
        event_ts as described_at,
        event_id as described_by,
        load_id
    from latest

),

members as (

    {{ newer_members('product_sk', attributes=10) }}

)

select * from members
