"""Rejects, duplicates, lateness and the contract's versions. Payloads are not read: they may hold personal data."""

from monitoring.queries import Query

REJECTS = Query(
    "quality_rejects",
    """
    select date_bin(
               case when %(length)s <= interval '2 hours' then interval '5 minutes'
                    when %(length)s <= interval '2 days' then interval '1 hour' else interval '1 day' end,
               kafka_timestamp, timestamptz '2020-01-01'
           ) as at,
           split_part(reject_reason, ':', 1) as reason, count(*) as records
    from raw.rejected_events where kafka_timestamp > now() - %(length)s
    group by 1, 2 order by 1, 2 limit %(rows)s
    """,
    5_000,
    settled=True,
)
SAMPLES = Query(
    "quality_samples",
    """
    select split_part(reject_reason, ':', 1) as reason, count(*) as records, max(kafka_timestamp) as last_seen,
           (array_agg(reject_reason order by kafka_timestamp desc))[1] as sample,
           (array_agg(topic || '/' || partition || '/' || "offset" order by kafka_timestamp desc))[1] as position
    from raw.rejected_events group by 1 order by 2 desc, 1 limit %(rows)s
    """,
    50,
    settled=True,
)
#: The newest loads that fell into the range.
SHARES = Query(
    "quality_shares",
    """
    select load_id, committed_at, rows_read, rows_duplicate, rows_rejected from ops.load_manifest
    where committed_at > now() - %(length)s and rows_read > 0 order by load_id desc limit %(rows)s
    """,
    500,
    settled=True,
)
#: Of the newest events, by their ids: which version of the contract, and how many came later than a minute after they happened.
NEWEST = Query(
    "quality_newest",
    """
    select schema_version, count(*) as events, count(*) filter (where kafka_timestamp - event_ts > interval '1 minute') as late,
           min(event_ts) as oldest, max(event_ts) as newest
    from (select schema_version, kafka_timestamp, event_ts from raw.log_events order by event_id desc limit 50000) as sample
    group by 1 order by 1 limit %(rows)s
    """,
    20,
    settled=True,
)
