-- Grain: one row per cohort (the ISO week, by its Monday, in which users were first active) and number of weeks since.
-- The week in whole numbers, from a Monday on: date_trunc, once per row, would take a third of the query's time.
with user_weeks as (

    select distinct
        user_sk,
        activity_date - (activity_date - date '0001-01-01') % 7 as active_week
    from {{ ref('fct_user_day') }}
    where user_sk <> {{ unknown_key() }}

),

cohorts as (

    select
        active_week,
        min(active_week) over (partition by user_sk) as cohort_week
    from user_weeks

),

counted as (

    select
        cohort_week,
        active_week,
        count(*) as active_users
    from cohorts
    group by cohort_week, active_week

),

-- All users of a cohort were active in its first week.
sized as (

    select
        cohort_week,
        active_week,
        first_value(active_users) over (partition by cohort_week order by active_week) as cohort_users,
        active_users
    from counted

)

select
    cohort_week,
    (active_week - cohort_week) / 7 as weeks_since,
    cohort_users,
    active_users,
    (active_users::numeric / cohort_users)::numeric(5, 4) as retention_rate
from sized
