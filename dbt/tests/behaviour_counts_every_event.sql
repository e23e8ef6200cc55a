-- Stops: the events counted in sessions, or in users' days, are not the events there are. Reads everything: `full`.
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

)

select
    counted.mart,
    counted.events,
    there.events as events_there
from counted
cross join there
where counted.events <> there.events
