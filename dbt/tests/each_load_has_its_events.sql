-- Stops: an event that the books say was loaded is not in fact_event, or is there too often. Counts by load, untested loads only.
with books as (

    select
        load_id,
        rows_inserted
    from {{ source('ops', 'load_manifest') }}
    where {{ is_untested() }} and load_id <= {{ position('fact_event') }}

),

facts as (

    select
        load_id,
        count(*) as rows_in_fact
    from {{ ref('fact_event') }}
    where {{ is_untested() }}
    group by load_id

)

select
    books.rows_inserted,
    facts.rows_in_fact,
    coalesce(books.load_id, facts.load_id) as load_id
from books
full outer join facts on books.load_id = facts.load_id
where coalesce(books.rows_inserted, 0) <> coalesce(facts.rows_in_fact, 0)
