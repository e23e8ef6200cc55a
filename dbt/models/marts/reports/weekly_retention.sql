-- Grain: one row per cohort (the ISO week, by its Monday, in which users were first active) and number of weeks since.
with user_weeks as (

    select distinct
        user_sk,
        date_trunc('week', activity_date::timestamp)::date as active_week
    from {{ ref('fct_user_day') }}
    where user_sk <> {{ unknown_key() }}

),

cohorts as (

    select
        user_sk,
        active_week,
        min(active_week) over (partition by user_sk) as cohort_week
    from user_weeks

),

sizes as (

    select
        cohort_week,
        count(distinct user_sk) as cohort_users
    from cohorts
    group by cohort_week

)

select
    cohorts.cohort_week,
    (cohorts.active_week - cohorts.cohort_week) / 7 as weeks_since,
    sizes.cohort_users,
    count(*) as active_users,
    (count(*)::numeric / sizes.cohort_users)::numeric(5, 4) as retention_rate
from cohorts
inner join sizes on cohorts.cohort_week = sizes.cohort_week
group by cohorts.cohort_week, cohorts.active_week, sizes.cohort_users
