-- Grain: one row per event that describes a product, in the order of events and not of loads. `is_change`: it differs from the one before.
-- A late event changes what it says of itself and of the event after it, and nothing else: so a run looks at the new events and, by the
-- index, at their neighbours.
{{
    config(
        incremental_strategy='merge',
        unique_key='description_sk',
        indexes=[{'columns': ['product_sk', 'described_at', 'description_sk']}, {'columns': ['load_id']}],
    )
}}

with new_events as (

    select
        event_id as description_sk,
        {{ surrogate_key(['product_id']) }} as product_sk,
        event_ts as described_at,
        {{ product_attributes_key() }} as attributes_sk,
        load_id,
        true as is_written
    from {{ ref('stg_products') }}
    where is_description and {{ is_new() }}

),

{% if is_incremental() %}
    neighbours as (

        select
            earlier.*,
            false as is_written
        from new_events
        cross join
            lateral (
                select held.* from {{ this }} as held
                where
                    held.product_sk = new_events.product_sk
                    and (held.described_at, held.description_sk) < (new_events.described_at, new_events.description_sk)
                order by held.described_at desc, held.description_sk desc
                limit 1
            ) as earlier
        union all
        select
            later.*,
            true as is_written
        from new_events
        cross join lateral (
            select held.* from {{ this }} as held
            where
                held.product_sk = new_events.product_sk
                and (held.described_at, held.description_sk) > (new_events.described_at, new_events.description_sk)
            order by held.described_at asc, held.description_sk asc
            limit 1
        ) as later

    ),

{% endif %}

events as (

    select * from new_events
    {% if is_incremental() %}
        union all
        select
            description_sk,
            product_sk,
            described_at,
            attributes_sk,
            load_id,
            bool_or(is_written) as is_written
        from neighbours
        group by description_sk, product_sk, described_at, attributes_sk, load_id
    {% endif %}

),

compared as (

    select
        *,
        lag(attributes_sk) over (
            partition by product_sk
            order by described_at asc, description_sk asc
        ) as attributes_before
    from events

)

select
    description_sk,
    product_sk,
    described_at,
    attributes_sk,
    coalesce(attributes_sk <> attributes_before, true) as is_change,
    load_id
from compared
where is_written
