"""The daily digest: what the last day's runs did, what went wrong, how fresh everything is, and the books in full."""

from datetime import datetime, timedelta
from typing import NamedTuple

import psycopg

from loglake import books, clients
from loglake.alerts.gather import ERRORS
from loglake.alerts.incidents import Incident
from loglake.alerts.messages import moment
from loglake.alerts.rules import Verdict
from loglake.alerts.store import Text, open_incidents
from loglake.balance import balance

DAY = timedelta(days=1)
_FRESHNESS = ("lake_stale", "load_stale", "marts_stale")
_LOADS = """
select count(*), coalesce(sum(rows_read), 0)::bigint, coalesce(sum(rows_inserted), 0)::bigint,
       coalesce(sum(rows_duplicate), 0)::bigint, coalesce(sum(rows_rejected), 0)::bigint
from ops.load_manifest where committed_at > %s
"""
#: The alert DAG notes its last good round only.
_RUNS = """
select dag_id, count(*) filter (where state = 'success'), count(*) from ops.dag_run
where finished_at > %s and dag_id <> 'loglake_alerts' and state <> 'refused' group by 1 order by 1
"""
_INCIDENTS = """
select count(*) filter (where opened_at > %(since)s), count(*) filter (where recovered_at > %(since)s) from ops.incident
"""


class Day(NamedTuple):
    """The figures of a day; `runs`: of each DAG (name, succeeded, all)."""

    loads: tuple[int, int, int, int, int]
    runs: list[tuple[str, int, int]]
    opened: int
    recovered: int
    still_open: list[Incident]


def read_day(connection: psycopg.Connection, now: datetime) -> Day:
    """The day until now."""
    since = now - DAY
    loads = connection.execute(_LOADS, [since]).fetchall()[0]
    runs = connection.execute(_RUNS, [since]).fetchall()
    opened, recovered = connection.execute(_INCIDENTS, {"since": since}).fetchall()[0]
    return Day(loads, runs, opened, recovered, open_incidents(connection))


def check_books() -> str:
    """The whole books in one line: once a day they may read the lake's positions."""
    try:
        found = balance(books.gather())
    except ERRORS as error:
        return f"could not be read: {clients.one_line(error)}"
    return f"balanced, {found.facts.raw_events:,} events" if found.balanced else f"NOT balanced: {'; '.join(found.findings)}"


def word(day: Day, verdicts: list[Verdict], book_line: str, now: datetime) -> Text:
    """The digest in words."""
    loads, read, inserted, duplicate, rejected = day.loads
    lines = [
        f"Loads: {loads:,}, {read:,} rows read = {inserted:,} inserted + {duplicate:,} duplicate + {rejected:,} rejected",
        *(f"Runs of {dag}: {good:,} of {ran:,} succeeded" for dag, good, ran in day.runs),
        f"Incidents: {day.opened:,} opened, {day.recovered:,} over, {len(day.still_open):,} open",
        *(f"  open since {moment(incident.opened_at)}: {incident.alert.title}" for incident in day.still_open),
        *(f"{verdict.rule.title.upper() if verdict.state == 'firing' else 'Fresh'}: {verdict.detail}" for verdict in _fresh(verdicts)),
        f"Books: {book_line}",
    ]
    return Text("digest", f"DIGEST: the day until {moment(now)}", "\n".join(lines))


def _fresh(verdicts: list[Verdict]) -> list[Verdict]:
    return [verdict for verdict in verdicts if verdict.rule.name in _FRESHNESS]
