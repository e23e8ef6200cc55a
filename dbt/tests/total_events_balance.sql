-- Stops: the sums of the books, of raw and of the facts differ over all history. Reads everything: `full`.
{{ config(tags=['full']) }}

with totals as (

    select
        (
            select coalesce(sum(rows_inserted), 0) from {{ source('ops', 'load_manifest') }}
            where load_id <= {{ reach() }}
        ) as booked,
        (
            select count(*) from {{ source('raw', 'log_events') }}
            where load_id <= {{ reach() }}
        ) as raw_rows,
        -- Whole months that were dropped by age; the facts keep them, until a full refresh.
        (select coalesce(sum(events), 0) from {{ source('raw', 'retired_month') }}) as retired,
        (
            select count(*) from {{ ref('fact_event') }}
            where load_id <= {{ reach() }}
        ) as fact_rows,
        (
            select coalesce(sum(rows_rejected), 0) from {{ source('ops', 'load_manifest') }}
            where load_id <= {{ reach() }}
        ) as booked_rejects,
        (
            select count(*) from {{ source('raw', 'rejected_events') }}
            where load_id <= {{ reach() }}
        ) as raw_rejects

)

select * from totals
where booked <> raw_rows + retired or fact_rows not between raw_rows and raw_rows + retired or booked_rejects <> raw_rejects
