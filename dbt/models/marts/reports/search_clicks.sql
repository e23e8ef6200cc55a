-- Grain: one row per answer to a search. It is clicked when, of the session's later answers and product views (by time, then event id),
-- the first is a view. A view, so that an event that comes in late changes the answer before it too; each answer costs one index probe.
select
    searches.search_sk,
    searches.date_sk,
    searches.session_id,
    searches.query,
    searches.result_count,
    coalesce(following.event_type = 'product_view', false) as is_clicked,
    case when following.event_type = 'product_view' then following.product_sk end as product_sk,
    case
        when following.event_type = 'product_view' then extract(epoch from following.event_ts - answers.event_ts)
    end::numeric(12, 3) as seconds_to_click
from {{ ref('fact_search') }} as searches
left join {{ ref('fact_web') }} as answers on searches.search_sk = answers.event_sk
left join lateral (
    select
        steps.event_type,
        steps.product_sk,
        steps.event_ts
    from {{ ref('fact_web') }} as steps
    where
        steps.session_sk = answers.session_sk
        and (steps.event_ts, steps.event_sk) > (answers.event_ts, answers.event_sk)
        and steps.event_type in ('search_response', 'product_view')
    order by steps.event_ts asc, steps.event_sk asc
    limit 1
) as following on true
