-- Grain: one row per UTC day and search text (lower case, single spaces).
select
    make_date(dim_date.year, dim_date.month, dim_date.day) as search_date,
    searches.query,
    count(*) as searches,
    count(distinct searches.session_id) as sessions,
    count(*) filter (where searches.result_count = 0) as searches_without_result,
    avg(searches.result_count)::numeric(12, 1) as average_results,
    count(*) filter (where searches.is_clicked) as searches_with_click
from {{ ref('search_clicks') }} as searches
inner join {{ ref('dim_date') }} as dim_date on searches.date_sk = dim_date.date_sk
group by 1, 2
