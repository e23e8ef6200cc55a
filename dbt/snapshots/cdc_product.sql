{% snapshot cdc_product %}
{#
  Grain: one row per version of a product: what was known of it from dbt_valid_from (event time) until dbt_valid_to.
  Reads the descriptions of new loads only: the latest of each product, and of those the ones that change something. A description older
  than one already seen (described_at, moved on by the post-hook) makes no version: history never goes backwards and intervals never overlap.
#}
{{
    config(
        unique_key='product_id',
        strategy='timestamp',
        updated_at='updated_at',
        hard_deletes='ignore',
        post_hook=[
            "create index if not exists cdc_product_current on {{ this }} (product_id) where dbt_valid_to is null",
            "create index if not exists cdc_product_scd on {{ this }} (dbt_scd_id) where dbt_valid_to is null",
            "{{ confirm_product_versions() }}",
            "{{ record_position() }}",
        ],
    )
}}

with latest as (

    {{ latest_product_descriptions() }}

)

select
    latest.product_id,
    latest.product_name,
    latest.category,
    latest.subcategory,
    latest.brand,
    latest.description,
    latest.price,
    latest.stock,
    latest.rating,
    latest.event_type as source,
    latest.event_ts as updated_at,
    latest.event_ts as described_at,
    latest.load_id
from latest
{% if execute and load_cached_relation(this) is not none %}
    left join {{ this }} as held on latest.product_id = held.product_id and held.dbt_valid_to is null
    where held.product_id is null
    or (
        latest.event_ts > held.described_at
        and (
            latest.product_name, latest.category, latest.subcategory, latest.brand,
            latest.description, latest.price, latest.stock, latest.rating
        ) is distinct from (
            held.product_name, held.category, held.subcategory, held.brand,
            held.description, held.price, held.stock, held.rating
        )
    )
{% endif %}

{% endsnapshot %}
