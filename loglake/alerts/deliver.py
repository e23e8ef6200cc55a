"""Delivery of the outbox: apart from what fills it, so that a channel that is slow or down holds up nothing but itself.

Each message is marked as delivered in the transaction that sends it: killed between the two, it is sent again, never lost. A channel that
fails is left alone for a while, twice as long each time, or for as long as its server asks.
"""

import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg

from loglake.alerts import channels
from loglake.alerts.store import Text

log = logging.getLogger(__name__)

FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(minutes=30)
#: No message is begun after this; a run of the alert DAG must end well within its minute.
BUDGET_SECONDS = 25.0

_NEXT = """
select message_id, kind, subject, body from ops.outbox_delivery join ops.outbox using (message_id)
where channel = %s and delivered_at is null and given_up_at is null
order by message_id limit 1 for update of outbox_delivery skip locked
"""
#: What could not be sent for so long is news to nobody: after a restore, or when a channel is set up again.
OLDEST = timedelta(days=1)
_TOO_OLD = """
update ops.outbox_delivery set given_up_at = %(now)s, last_error = coalesce(last_error || '; ', '') || 'too old'
from ops.outbox
where outbox.message_id = outbox_delivery.message_id and delivered_at is null and given_up_at is null and created_at < %(oldest)s
"""
_DELIVERED = "update ops.outbox_delivery set delivered_at = %s, tries = tries + 1, last_error = null where message_id = %s and channel = %s"
_GIVEN_UP = "update ops.outbox_delivery set given_up_at = %s, tries = tries + 1, last_error = %s where message_id = %s and channel = %s"
_FAILED = "update ops.outbox_delivery set tries = tries + 1, last_error = %s where message_id = %s and channel = %s"
_BACK_OFF = """
insert into ops.outbox_channel values (%s, %s, %s, %s)
on conflict (channel) do update set failures = excluded.failures, next_try_at = excluded.next_try_at, last_error = excluded.last_error
"""


@dataclass(frozen=True)
class Delivered:
    """How many messages were taken by a server, and what went wrong with the others, a line per failure."""

    sent: int
    problems: tuple[str, ...]


def deliver(connection: psycopg.Connection, budget_seconds: float = BUDGET_SECONDS) -> Delivered:
    """Send what waits, channel by channel, the oldest first; never raises for a channel's fault. `connection` is the loader's."""
    deadline, now = time.monotonic() + budget_seconds, datetime.now(UTC)
    connection.execute(_TOO_OLD, {"now": now, "oldest": now - OLDEST})
    sent, problems = 0, []
    for channel in channels.configured():
        if not _may_try(connection, channel):
            continue
        while time.monotonic() < deadline and (outcome := _send_next(connection, channel)) is not None:
            sent += not outcome
            problems += [outcome] if outcome else []
            if outcome and not _may_try(connection, channel):
                break
    return Delivered(sent, tuple(problems))


def back_off(failures: int, retry_after: float | None) -> timedelta:
    """How long a channel is left alone after so many failures in a row; its server's own wish comes first."""
    wish = timedelta(seconds=retry_after) if retry_after else FIRST_WAIT * 2 ** min(failures - 1, 20)
    return min(wish, LONGEST_WAIT)


def _may_try(connection: psycopg.Connection, channel: str) -> bool:
    row = connection.execute("select next_try_at from ops.outbox_channel where channel = %s", [channel]).fetchone()
    return row is None or row[0] <= datetime.now(UTC)


def _send_next(connection: psycopg.Connection, channel: str) -> str | None:
    """Send the channel's oldest message: None when there is none, '' when it was taken, otherwise what went wrong."""
    with connection.transaction():
        row = connection.execute(_NEXT, [channel]).fetchone()
        if row is None:
            return None
        message_id, *words = row
        try:
            answer = channels.send(channel, Text(*words))
        except channels.RefusedError as error:
            connection.execute(_GIVEN_UP, [datetime.now(UTC), str(error), message_id, channel])
            return _problem(channel, message_id, f"{error}; given up")
        except channels.UnreachableError as error:
            connection.execute(_FAILED, [str(error), message_id, channel])
            wait = _note_failure(connection, channel, error)
            return _problem(channel, message_id, f"{error}; tried again in {wait.total_seconds():.0f} s")
        connection.execute(_DELIVERED, [datetime.now(UTC), message_id, channel])
        connection.execute("delete from ops.outbox_channel where channel = %s", [channel])
    log.info("message %s to %s: %s", message_id, channel, answer)
    return ""


def _note_failure(connection: psycopg.Connection, channel: str, error: channels.UnreachableError) -> timedelta:
    row = connection.execute("select failures from ops.outbox_channel where channel = %s", [channel]).fetchone()
    failures = (row[0] if row else 0) + 1
    wait = back_off(failures, error.retry_after)
    connection.execute(_BACK_OFF, [channel, failures, datetime.now(UTC) + wait, str(error)])
    return wait


def _problem(channel: str, message_id: int, what: str) -> str:
    line = f"message {message_id} to {channel}: {what}"
    log.warning("%s", line)
    return line
