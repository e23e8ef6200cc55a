-- Grain: one row per distinct description that any product ever had (all but the stock, which changes with every sale).
{{ config(incremental_strategy='append') }}

with described as (

    select
        {{ product_attributes_key() }} as attributes_sk,
        product_name,
        category,
        subcategory,
        brand,
        description,
        price::numeric(12, 2) as price,
        rating::numeric(3, 2) as rating,
        load_id
    from {{ ref('stg_products') }}
    where is_description and {{ is_new() }}

),

first_seen as (

    select distinct on (attributes_sk) *
    from described
    order by attributes_sk asc, load_id asc

)

select first_seen.* from first_seen
{% if is_incremental() %}
    left join {{ this }} as held on first_seen.attributes_sk = held.attributes_sk
    where held.attributes_sk is null
{% endif %}
