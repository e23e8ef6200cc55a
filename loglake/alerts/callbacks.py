"""What Airflow calls when a task fails and when a DAG's run ends: it is put into the outbox, nothing is sent from here.

A callback never raises and never waits long: a warehouse that does not answer costs a run a few seconds and a line in the log.
"""

import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import psycopg

from loglake import clients
from loglake.alerts import channels, messages, store
from loglake.alerts.incidents import Alert, Pace
from loglake.alerts.rules import RULES, Verdict
from loglake.alerts.runbook import anchor_of_dag, anchor_of_task
from loglake.errors import BadInputError
from loglake.health import ServicesDownError, Status
from loglake.settings import settings

log = logging.getLogger(__name__)

#: Incidents of DAGs have keys of this kind; no rule judges them.
DAG_KEY = "dag:"
_CONNECT_SECONDS = 3
_LONGEST_LINE = 500


def task_failed(context: Any) -> None:
    """A task failed for good: an incident of its DAG; or, when it found services down, one of each service."""
    _note(lambda connection, now: _task_failed(connection, context, now))


def dag_failed(context: Any) -> None:
    """A run failed: an incident, unless its task has told already (it cannot when it timed out before it began, for instance)."""
    _note(lambda connection, now: _dag_failed(connection, context["dag"].dag_id, context["run_id"], context.get("reason"), now))


def dag_succeeded(context: Any) -> None:
    """A run succeeded: the end of the DAG's incident, if there is one; otherwise only the daily digest counts it."""
    _note(lambda connection, now: _dag_succeeded(connection, context["dag"].dag_id, context["run_id"], now))


def manner(first_quiet: timedelta | None = None) -> store.Manner:
    """How the settings want incidents told; `first_quiet` where something else than a time of quiet says that an incident is over."""
    config = settings().alerts
    quiet = timedelta(minutes=config.recover_minutes)
    pace = Pace(quiet if first_quiet is None else first_quiet, quiet, timedelta(minutes=config.reminder_minutes))
    available = channels.configured()
    return store.Manner(pace, messages.word, lambda incident: channels.route(incident.alert.key, available))


def _note(change: Callable[[psycopg.Connection, datetime], None]) -> None:
    try:
        with clients.postgres("loader", wait_seconds=_CONNECT_SECONDS) as connection, store.changing(connection):
            change(connection, datetime.now(UTC))
    except clients.ERRORS as error:
        log.error("nobody will be told of this, as the warehouse cannot be written: %s", clients.one_line(error))


def _task_failed(connection: psycopg.Connection, context: Any, now: datetime) -> None:
    error, ti = context.get("exception"), context["ti"]
    if isinstance(error, ServicesDownError):
        _advance(connection, [service_alert(status) for status in error.statuses], now)
        return
    if error is not None and isinstance(error.__cause__, BadInputError):
        # Who started the run reads in it what they asked for that cannot be: nobody else has anything to mend.
        store.note_run(connection, ti.dag_id, ti.run_id, store.REFUSED, now)
        return
    task = ti.task_id.rpartition(".")[2]
    good = store.last_good_run(connection, ti.dag_id)
    lines = [
        f"Try {ti.try_number} of {(ti.max_tries or 0) + 1}: {first_line(error)}",
        f"Log: {ti.log_url}",
        f"Last good run: {messages.moment(good)}" if good else "No run has succeeded yet.",
    ]
    alert = Alert(DAG_KEY + ti.dag_id, f"{ti.dag_id} failed in {task}", "critical", anchor_of_task(ti.dag_id, ti.task_id), "\n".join(lines))
    _advance(connection, [alert], now)


def _dag_failed(connection: psycopg.Connection, dag_id: str, run_id: str, reason: str | None, now: datetime) -> None:
    if store.run_state(connection, dag_id, run_id) == store.REFUSED:
        return
    store.note_run(connection, dag_id, run_id, "failed", now)
    told = [incident.alert.key for incident in store.open_incidents(connection)]
    if DAG_KEY + dag_id in told or any(key.startswith("service_down:") for key in told):
        return
    url = f"{settings().airflow.page}/dags/{dag_id}/runs/{quote(run_id)}"
    detail = f"Airflow's reason: {reason or 'none given'}\nRun: {url}"
    _advance(connection, [Alert(DAG_KEY + dag_id, f"{dag_id} failed", "critical", anchor_of_dag(dag_id), detail)], now)


def _dag_succeeded(connection: psycopg.Connection, dag_id: str, run_id: str, now: datetime) -> None:
    store.note_run(connection, dag_id, run_id, "success", now)
    _advance(connection, [], now, judged=DAG_KEY + dag_id)


def _advance(connection: psycopg.Connection, alerts: Iterable[Alert], now: datetime, judged: str = "") -> None:
    told = store.advance(connection, alerts, lambda key: key != judged, now, manner(timedelta(0)))
    for text in told:
        log.info("told: %s", text.subject)


def service_alert(status: Status) -> Alert:
    """A service that is down, as the rule of services would tell it."""
    rule = next(rule for rule in RULES if rule.name == "service_down")
    return messages.alert_of(Verdict(rule, status.name, "firing", 1, 0, status.detail))


def first_line(error: BaseException | None) -> str:
    """What an error says first; Airflow gives none when it killed the task itself."""
    if error is None:
        return "Airflow ended the task (killed, or its time was up)"
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:_LONGEST_LINE]
