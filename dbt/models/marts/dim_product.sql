-- Grain: one row per product, plus the unknown member.
-- The row is the latest description of the product, taken as a whole: the event with the greatest (event_ts, event_id) among those that
-- say more than the id, whichever load it came in. An event or an order line that merely mentions the product counts only while nothing
-- describes it (then all but the id is null), so it never blanks what is known; a late event never takes the row backwards.
{{ config(incremental_strategy='merge', unique_key='product_sk') }}

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

    select distinct on (product_id) *
    from mentions
    order by product_id asc, is_description desc, event_ts desc, event_id desc

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

    select keyed.* from keyed
    {% if is_incremental() %}
        left join {{ this }} as held on keyed.product_sk = held.product_sk
        where
            held.product_sk is null
            or (keyed.is_described, keyed.described_at, keyed.described_by) > (held.is_described, held.described_at, held.described_by)
    {% else %}
        union all
        select {{ unknown_key() }}, {{ nulls(10) }}, false, null, null, -1
    {% endif %}

)

select * from members
