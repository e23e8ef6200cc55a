-- Grain: one row per product whose description in the new loads differs from the version that snapshots.cdc_product holds as current.
-- Of a product's new descriptions only the latest counts. One that is older than the last that was seen (described_at, described_by) is
-- left out, so history never goes backwards and intervals never overlap.
-- Ephemeral: it is a part of the snapshot, so "new" means new to the snapshot, and `held` is no ref, which would be a circle.
{{ config(materialized='ephemeral') }}
{% set snapshot = this.incorporate(path={'schema': schema_named('snapshots'), 'identifier': 'cdc_product'}) %}

with latest as (

    {{ latest_product_descriptions(snapshot) }}

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
    latest.event_id as described_by,
    latest.load_id
from latest
{% if is_kept(snapshot) or not execute %}
    left join {{ snapshot }} as held on latest.product_id = held.product_id and held.dbt_valid_to is null
    where
        held.product_id is null
        or (
            (latest.event_ts, latest.event_id) > (held.described_at, held.described_by)
            and ({{ product_attributes('latest') }}) is distinct from ({{ product_attributes('held') }})
        )
{% endif %}
