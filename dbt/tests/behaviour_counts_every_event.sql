-- Stops: the events that a mart of behaviour holds or has counted are not those that fact_event, which equals the books, has of the kind.
-- Reads everything: `full`. Sums cannot be cut at a load, so there is nothing to say of a mart that lies behind fact_event (a run of some
-- models only).
{{ config(tags=['full']) }}

with there as (

    select
        count(*) as events,
        count(*) filter (where event_type = 'search_response') as searches,
        count(*) filter (where event_type = 'error') as errors,
        count(*) filter (
            where event_type in ('product_view', 'add_to_cart', 'remove_from_cart') and product_sk <> {{ unknown_key() }}
        ) as handlings
    from {{ ref('fact_event') }}

),

counted as (

    select
        'fct_session' as mart,
        sum(events) as counted,
        (select there.events from there) as there
    from {{ ref('fct_session') }}
    union all
    select
        'fct_user_day',
        sum(event_count),
        (select there.events from there)
    from {{ ref('fct_user_day') }}
    union all
    select
        'fct_product_day',
        sum(views + cart_adds + cart_removes),
        (select there.handlings from there)
    from {{ ref('fct_product_day') }}
    union all
    select
        'fact_search',
        count(*),
        (select there.searches from there)
    from {{ ref('fact_search') }}
    union all
    select
        'fact_error',
        count(*),
        (select there.errors from there)
    from {{ ref('fact_error') }}

)

select
    counted.mart,
    counted.counted,
    counted.there
from counted
inner join {{ schema_named('staging') }}.load_position as positions on counted.mart = positions.node
where coalesce(counted.counted, 0) <> counted.there and positions.load_id = {{ position('fact_event') }}
