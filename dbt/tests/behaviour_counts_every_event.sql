-- Stops: the events counted in sessions, or in users' days, are not the events there are. Reads everything: `full`.
-- Sums cannot be cut at a load, so there is nothing to say while one of the three lies behind (a run of some models only).
{{ config(tags=['full']) }}

with counted as (

    select
        'fct_session' as mart,
        coalesce(sum(events), 0) as events
    from {{ ref('fct_session') }}
    union all
    select
        'fct_user_day' as mart,
        coalesce(sum(event_count), 0) as events
    from {{ ref('fct_user_day') }}

),

there as (

    select count(*) as events from {{ ref('fact_event') }}

),

positions as (

    select count(distinct load_id) as different from {{ schema_named('staging') }}.load_position
    where node in ('fct_session', 'fct_user_day', 'fact_event')

)

select
    counted.mart,
    counted.events,
    there.events as events_there
from counted
cross join there
cross join positions
where counted.events <> there.events and positions.different = 1
