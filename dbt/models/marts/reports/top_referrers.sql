-- Grain: one row per referring domain, at most five: those that most sessions came from, over all time.
select
    referrer_domain,
    sum(sessions)::bigint as sessions,
    sum(orders)::bigint as orders
from {{ ref('traffic_sources') }}
where referrer_domain is not null
group by referrer_domain
order by sessions desc, referrer_domain asc
limit 5
