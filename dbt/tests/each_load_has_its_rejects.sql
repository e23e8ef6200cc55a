-- Stops: a rejected record that the books count is not kept, or is kept twice. Counts by load, untested loads only.
with books as (

    select
        load_id,
        rows_rejected
    from {{ source('ops', 'load_manifest') }}
    where {{ is_untested() }}

),

rejects as (

    select
        load_id,
        count(*) as rows_kept
    from {{ source('raw', 'rejected_events') }}
    where {{ is_untested() }}
    group by load_id

)

select
    books.rows_rejected,
    rejects.rows_kept,
    coalesce(books.load_id, rejects.load_id) as load_id
from books
full outer join rejects on books.load_id = rejects.load_id
where coalesce(books.rows_rejected, 0) <> coalesce(rejects.rows_kept, 0)
