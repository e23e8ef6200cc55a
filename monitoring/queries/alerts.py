"""Incidents, messages and the changes of thresholds; what `loglake.alerts` writes."""

from monitoring.queries import Query

THRESHOLDS = Query(
    "thresholds",
    """
    select name, value, set_by, set_at from (
        select distinct on (name) name, value, set_by, set_at from ops.alert_threshold order by name, change_id desc
    ) as newest order by name limit %(rows)s
    """,
    100,
)
CHANGES = Query(
    "threshold_changes", "select set_at, set_by, name, value from ops.alert_threshold order by change_id desc limit %(rows)s", 50
)
INCIDENTS = Query(
    "incidents",
    """
    select title, severity, opened_at, recovered_at, extract(epoch from coalesce(recovered_at, now()) - opened_at)::float8 as seconds,
           reminders, relapses, detail, anchor
    from ops.incident order by recovered_at is not null, opened_at desc limit %(rows)s
    """,
    100,
)
MESSAGES = Query(
    "messages",
    """
    select created_at, subject, coalesce((
        select string_agg(
            channel || ': ' || case when delivered_at is not null then 'delivered'
                                    when given_up_at is not null then 'given up' else 'waits' end,
            ', ' order by channel
        )
        from ops.outbox_delivery where outbox_delivery.message_id = outbox.message_id
    ), 'no channel is set up') as deliveries
    from ops.outbox order by message_id desc limit %(rows)s
    """,
    50,
)
