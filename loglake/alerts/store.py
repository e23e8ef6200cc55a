"""The tables behind the alerts in `ops`: incidents, the outbox of messages, their deliveries, and the runs of the DAGs.

A message is written in the same transaction as its incident's change, so it is told when, and only when, the change was made.
Everything here is written as the role `loader`, whose schema `ops` is.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import NamedTuple

import psycopg
from psycopg.rows import class_row

from loglake.alerts.incidents import MEMORY, Alert, Incident, Message, Pace, step

DDL = """
create table if not exists ops.incident (
    incident_id bigint generated always as identity primary key,
    key text not null,
    title text not null,
    severity text not null,
    anchor text not null,
    detail text not null,
    opened_at timestamptz not null,
    told_at timestamptz not null,
    reminders integer not null,
    relapses integer not null,
    quiet_since timestamptz,
    recovered_at timestamptz
);
create unique index if not exists incident_open on ops.incident (key) where recovered_at is null;
create index if not exists incident_recovered_at on ops.incident (recovered_at);
comment on table ops.incident is 'One row per incident: an alert, from its first message to its recovery';
create table if not exists ops.outbox (
    message_id bigint generated always as identity primary key,
    incident_id bigint references ops.incident,
    kind text not null,
    subject text not null,
    body text not null,
    created_at timestamptz not null
);
comment on table ops.outbox is 'One row per message to people, whether a channel is set up or not';
create table if not exists ops.outbox_delivery (
    message_id bigint not null references ops.outbox,
    channel text not null,
    tries integer not null default 0,
    delivered_at timestamptz,
    given_up_at timestamptz,
    last_error text,
    primary key (message_id, channel)
);
create index if not exists outbox_delivery_open on ops.outbox_delivery (channel, message_id)
    where delivered_at is null and given_up_at is null;
comment on table ops.outbox_delivery is 'One row per message and channel that it goes to';
create table if not exists ops.outbox_channel (
    channel text primary key,
    failures integer not null,
    next_try_at timestamptz not null,
    last_error text not null
);
comment on table ops.outbox_channel is 'Channels that failed the last time, and when each is tried again';
create table if not exists ops.dag_run (
    dag_id text not null,
    run_id text not null,
    state text not null,
    finished_at timestamptz not null,
    primary key (dag_id, run_id)
);
create index if not exists dag_run_finished_at on ops.dag_run (finished_at);
comment on table ops.dag_run is 'How each run of a DAG ended, as its callbacks reported; kept for 90 days';
create index if not exists stream_progress_finished_at on ops.stream_progress (finished_at);
"""

#: Advisory lock under which incidents change, so that a callback and the alert DAG never open the same one.
LOCK_KEY = 7_265_010
KEPT_DAYS = 90
#: The state of a run whose params could not be used: no failure of anything.
REFUSED = "refused"
_WAIT_SECONDS = 5

_KNOWN = """
select distinct on (key) incident_id, key, title, severity, anchor, detail,
       opened_at, told_at, reminders, relapses, quiet_since, recovered_at
from ops.incident
where recovered_at is null or recovered_at >= %(since)s
order by key, recovered_at desc nulls first
"""
_OPEN = """
select incident_id, key, title, severity, anchor, detail, opened_at, told_at, reminders, relapses, quiet_since, recovered_at
from ops.incident where recovered_at is null order by opened_at
"""
_INSERT = """
insert into ops.incident (key, title, severity, anchor, detail, opened_at, told_at, reminders, relapses, quiet_since, recovered_at)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) returning incident_id
"""
_UPDATE = """
update ops.incident set key = %s, title = %s, severity = %s, anchor = %s, detail = %s, opened_at = %s, told_at = %s, reminders = %s,
                        relapses = %s, quiet_since = %s, recovered_at = %s
where incident_id = %s
"""
_RUN = """
insert into ops.dag_run values (%s, %s, %s, %s)
on conflict (dag_id, run_id) do update set state = excluded.state, finished_at = excluded.finished_at
"""


_OLD = (
    "delete from ops.dag_run where finished_at < %(before)s",
    "delete from ops.outbox_delivery using ops.outbox where outbox.message_id = outbox_delivery.message_id and created_at < %(before)s",
    "delete from ops.outbox where created_at < %(before)s",
    """delete from ops.incident where recovered_at < %(before)s
       and not exists (select from ops.outbox where outbox.incident_id = incident.incident_id)""",
)


class Text(NamedTuple):
    """A message in words: its kind, one line, and lines."""

    kind: str
    subject: str
    body: str


class Sent(NamedTuple):
    """A message of the outbox and how its deliveries stand, e.g. `slack: delivered`."""

    message_id: int
    kind: str
    subject: str
    body: str
    created_at: datetime
    deliveries: list[str]


class Manner(NamedTuple):
    """How incidents are told: at what pace, in which words, through which channels."""

    pace: Pace
    word: Callable[[Message], Text]
    route: Callable[[Incident], Collection[str]]


@contextmanager
def changing(connection: psycopg.Connection) -> Iterator[None]:
    """A transaction in which nobody else changes incidents; psycopg.errors.LockNotAvailable when another takes too long."""
    with connection.transaction():
        connection.execute(f"set local lock_timeout = '{_WAIT_SECONDS}s'")
        connection.execute(f"set local statement_timeout = '{2 * _WAIT_SECONDS}s'")
        connection.execute("select pg_advisory_xact_lock(%s)", [LOCK_KEY])
        yield


def known_incidents(connection: psycopg.Connection, now: datetime) -> dict[str, Incident]:
    """By key: the open incidents, and those that were over lately."""
    rows = connection.execute(_KNOWN, {"since": now - MEMORY}).fetchall()
    return {row[1]: _incident(row) for row in rows}


def open_incidents(connection: psycopg.Connection) -> list[Incident]:
    """The oldest first."""
    return [_incident(row) for row in connection.execute(_OPEN).fetchall()]


def _incident(row: tuple[object, ...]) -> Incident:
    incident_id, key, title, severity, anchor, detail, *rest = row
    return Incident(Alert(key, title, severity, anchor, detail), *rest, incident_id=incident_id)  # type: ignore[arg-type, misc]


def advance(
    connection: psycopg.Connection, alerts: Iterable[Alert], unjudged: Callable[[str], bool], now: datetime, manner: Manner
) -> list[Text]:
    """Let the incidents take a step, and put what is to be told into the outbox; within `changing`. What is told."""
    known = known_incidents(connection, now)
    after, messages = step(known, alerts, {key for key in known if unjudged(key)}, now, manner.pace)
    ids = {incident.alert.key: _save(connection, incident) for incident in after}
    told = []
    for message in messages:
        text = manner.word(message)
        put(connection, text, manner.route(message.incident), now, ids[message.incident.alert.key])
        told.append(text)
    return told


def _save(connection: psycopg.Connection, incident: Incident) -> int:
    alert = incident.alert
    values = [alert.key, alert.title, alert.severity, alert.anchor, alert.detail, incident.opened_at, incident.told_at,
              incident.reminders, incident.relapses, incident.quiet_since, incident.recovered_at]  # fmt: skip
    if incident.incident_id is None:
        return int(connection.execute(_INSERT, values).fetchall()[0][0])
    connection.execute(_UPDATE, [*values, incident.incident_id])
    return incident.incident_id


def put(connection: psycopg.Connection, text: Text, channels: Collection[str], now: datetime, incident_id: int | None = None) -> int:
    """Put a message into the outbox, for these channels; its id."""
    statement = "insert into ops.outbox (incident_id, kind, subject, body, created_at) values (%s, %s, %s, %s, %s) returning message_id"
    message_id = int(connection.execute(statement, [incident_id, *text, now]).fetchall()[0][0])
    for channel in channels:
        connection.execute("insert into ops.outbox_delivery (message_id, channel) values (%s, %s)", [message_id, channel])
    return message_id


def recent_messages(connection: psycopg.Connection, number: int) -> list[Sent]:
    """The newest messages, the newest first."""
    query = """
        select message_id, kind, subject, body, created_at, array(
            select channel || ': ' || case when delivered_at is not null then 'delivered'
                                           when given_up_at is not null then 'given up (' || last_error || ')'
                                           when last_error is not null then 'waits (' || last_error || ')'
                                           else 'waits' end
            from ops.outbox_delivery where outbox_delivery.message_id = outbox.message_id order by channel
        ) as deliveries
        from ops.outbox order by message_id desc limit %s
    """
    with connection.cursor(row_factory=class_row(Sent)) as cursor:
        return cursor.execute(query, [number]).fetchall()


def note_run(connection: psycopg.Connection, dag_id: str, run_id: str, state: str, now: datetime) -> None:
    """Note how a run of a DAG ended."""
    connection.execute(_RUN, [dag_id, run_id, state, now])


def run_state(connection: psycopg.Connection, dag_id: str, run_id: str) -> str | None:
    """How a run is noted to have ended; None when it is not."""
    row = connection.execute("select state from ops.dag_run where dag_id = %s and run_id = %s", [dag_id, run_id]).fetchone()
    return row[0] if row else None


def forget_old(connection: psycopg.Connection, now: datetime) -> None:
    """Delete runs, messages and incidents that were over KEPT_DAYS ago."""
    for statement in _OLD:
        connection.execute(statement, {"before": now - timedelta(days=KEPT_DAYS)})


def last_good_run(connection: psycopg.Connection, dag_id: str) -> datetime | None:
    """When the last run of a DAG succeeded; None when none has."""
    query = "select max(finished_at) from ops.dag_run where dag_id = %s and state = 'success'"
    return connection.execute(query, [dag_id]).fetchall()[0][0]  # type: ignore[no-any-return]
