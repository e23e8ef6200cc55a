-- Grain: one row per UTC day, service and error code.
with by_session as (

    select
        make_date(dim_date.year, dim_date.month, dim_date.day) as error_date,
        fact_error.service,
        fact_error.error_code,
        fact_error.session_sk,
        count(*) as errors
    from {{ ref('fact_error') }} as fact_error
    inner join {{ ref('dim_date') }} as dim_date on fact_error.date_sk = dim_date.date_sk
    group by 1, 2, 3, 4

)

select
    by_session.error_date,
    by_session.service,
    by_session.error_code,
    sum(by_session.errors)::bigint as errors,
    count(*) as affected_sessions,
    count(*) filter (where sessions.orders = 0) as affected_sessions_without_order,
    sum(sessions.revenue)::numeric(14, 2) as revenue_of_affected_sessions
from by_session
inner join {{ ref('fct_session') }} as sessions on by_session.session_sk = sessions.session_sk
group by 1, 2, 3
