-- Grain: one row per UTC day and product that events name. Orders are not in it: their lines are in fact_order.
-- Counts are added to what is there, so a late event ends on its own day and a run reads the new events and the rows they add to only.
{{ config(incremental_strategy='merge', unique_key='product_day_sk', indexes=[{'columns': ['activity_date']}, {'columns': ['load_id']}]) }}

with new_counts as (

    select
        (event_ts at time zone 'UTC')::date as activity_date,
        product_id,
        count(*) filter (where event_type = 'product_view')::integer as views,
        count(*) filter (where event_type = 'add_to_cart')::integer as cart_adds,
        count(*) filter (where event_type = 'remove_from_cart')::integer as cart_removes,
        max(load_id) as load_id
    from {{ ref('stg_event') }}
    where product_id is not null and {{ is_new() }}
    group by 1, 2

),

keyed as (

    select
        {{ surrogate_key(['activity_date', 'product_id']) }} as product_day_sk,
        activity_date,
        {{ surrogate_key(['product_id']) }} as product_sk,
        views,
        cart_adds,
        cart_removes,
        load_id
    from new_counts

)

select
    keyed.product_day_sk,
    keyed.activity_date,
    keyed.product_sk,
    keyed.views {%- if is_incremental() %} + coalesce(held.views, 0) {%- endif %} as views,
    keyed.cart_adds {%- if is_incremental() %} + coalesce(held.cart_adds, 0) {%- endif %} as cart_adds,
    keyed.cart_removes {%- if is_incremental() %} + coalesce(held.cart_removes, 0) {%- endif %} as cart_removes,
    keyed.load_id
from keyed
{% if is_incremental() %}
    left join {{ this }} as held on keyed.product_day_sk = held.product_day_sk
{% endif %}
