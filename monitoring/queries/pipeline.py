"""What the books say of each stage: micro-batches, loads, builds; and Airflow's runs, in its own database."""

from monitoring.queries import Query

#: The lake stream: its heartbeat, its last batch, and what it brought in the last five minutes that it reported of.
STREAM = Query(
    "pipeline_stream",
    """
    select beat.seen_at, beat.lag, last.finished_at, last.duration_ms, last.rows_read, last.event_delay_seconds, last.end_offsets,
           (
               select coalesce(sum(rows_read), 0)::float8 / 300 from ops.stream_progress
               where finished_at > now() - interval '5 minutes'
           ) as rate
    from (select 1) as one
    left join ops.stream_heartbeat as beat on beat.stream = 'lake'
    left join lateral (select * from ops.stream_progress order by finished_at desc limit 1) as last on true
    limit %(rows)s
    """,
    1,
)
THROUGHPUT = Query(
    "pipeline_throughput",
    """
    select date_bin(
               case when %(length)s <= interval '2 hours' then interval '1 minute'
                    when %(length)s <= interval '1 day' then interval '10 minutes'
                    else interval '6 hours' end,
               finished_at, timestamptz '2020-01-01'
           ) as at,
           sum(rows_read)::bigint as records, sum(rows_rejected)::bigint as rejected, max(lag)::bigint as lag
    from ops.stream_progress
    where finished_at > now() - %(length)s
    group by 1 order by 1 limit %(rows)s
    """,
    2_000,
)
LOADS = Query(
    "pipeline_loads",
    """
    select load_id, started_at, committed_at, extract(epoch from committed_at - started_at)::float8 as seconds,
           rows_read, rows_inserted, rows_duplicate, rows_rejected, files_read
    from ops.load_manifest order by load_id desc limit %(rows)s
    """,
    50,
)
BUILT = Query(
    "pipeline_built",
    """
    select node, load_id, updated_at, (select count(*) from ops.load_manifest as load where load.load_id > held.load_id) as behind
    from staging.load_position as held order by node limit %(rows)s
    """,
    200,
)
#: In Airflow's database, as the role `airflow`.
RUNS = Query(
    "airflow_runs",
    """
    select dag_id, run_id, run_type::text as run_type, state::text as state, start_date, end_date,
           extract(epoch from coalesce(end_date, now()) - start_date)::float8 as seconds
    from dag_run where start_date is not null and (dag_id <> 'loglake_alerts' or state <> 'success')
    order by start_date desc limit %(rows)s
    """,
    12,
)
TASKS = Query(
    "airflow_tasks",
    """
    select task_id, state::text as state, start_date, end_date, duration
    from task_instance
    where (dag_id, run_id) = (
        select dag_id, run_id from dag_run where dag_id = 'loglake_batch' and state in ('success', 'failed') order by end_date desc limit 1
    )
    order by start_date nulls last, task_id limit %(rows)s
    """,
    100,
)
