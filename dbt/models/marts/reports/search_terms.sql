-- Grain: one row per UTC day and search text (lower case, single spaces).
select
    make_date(dim_date.year, dim_date.month, dim_date.day) as search_date,
    fact_search.query,
    count(*) as searches,
    count(distinct fact_search.session_id) as sessions,
    count(*) filter (where fact_search.result_count = 0) as searches_without_result,
    avg(fact_search.result_count)::numeric(12, 1) as average_results
from {{ ref('fact_search') }} as fact_search
inner join {{ ref('dim_date') }} as dim_date on fact_search.date_sk = dim_date.date_sk
group by 1, 2
