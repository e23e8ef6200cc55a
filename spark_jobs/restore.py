"""The transaction of a backfill from the lake: what raw lacks of staged rows comes back, and the books say where it belongs.

The marts read each load once. So an event that they hold comes back under the load that brought it, and one that they do not hold
under the backfill's own load, which the next dbt run reads; the load that had lost it then counts it as a duplicate.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import psycopg
from psycopg import sql

from loglake import clients, raw_partitions
from spark_jobs import merge
from spark_jobs.copy_files import Staged

_IDS_AT_ONCE = 50_000
_LACKING = """
create unlogged table stage.lacking as
select distinct event_id::uuid as id, null::bigint as load_id
from ({staged}) as staged
where reject_reason is null and event_id::uuid >= {floor}
    and (select true from raw.log_events as known where known.event_id = staged.event_id::uuid) is null
"""
_IN_MARTS = "select event_sk, load_id from marts.fact_event where event_sk = any(%s)"
_INSERT = """
insert into raw.log_events ({targets}, load_id)
select distinct on (event_id) {values}, coalesce(lacking.load_id, %(load_id)s)
from ({staged}) as staged join stage.lacking on lacking.id = staged.event_id::uuid
where reject_reason is null
order by event_id, kafka_timestamp, "offset"
"""
_LOST_EVENTS = """
select load_id, rows_inserted - (select count(*) from raw.log_events as held where held.load_id = manifest.load_id)
from ops.load_manifest as manifest order by load_id desc
"""
_LOST_REJECTS = """
select load_id, rows_rejected - (select count(*) from raw.rejected_events as held where held.load_id = manifest.load_id)
from ops.load_manifest as manifest order by load_id desc
"""
_REBOOK_EVENTS = """
update ops.load_manifest set rows_inserted = rows_inserted - %s, rows_duplicate = rows_duplicate + %s where load_id = %s
"""
_REBOOK_REJECTS = """
update ops.load_manifest set rows_rejected = rows_rejected - %s, rows_duplicate = rows_duplicate + %s where load_id = %s
"""


@dataclass(frozen=True)
class Restored:
    """What raw lacked of the rows read; `events_known` of the events came back under the load that the marts have them from."""

    rows_read: int
    events: int
    events_known: int
    rejects: int


def restore(connection: psycopg.Connection, staged: Sequence[Staged], manifest: Mapping[str, object], *, dry_run: bool = False) -> Restored:
    """Put back what raw lacks and book it, in one transaction; with `dry_run`, or when nothing lacks, nothing is changed.

    `connection` holds the loader's lock, and no dbt run is under way. `manifest` is that of `merge.merge`.
    """
    with connection.transaction(force_rollback=dry_run) as transaction:
        merge.prepare(connection, staged)
        rows = merge.union(staged)
        # What was retired from raw by age does not lack.
        connection.execute(sql.SQL(_LACKING).format(staged=rows, floor=sql.Literal(raw_partitions.floor(connection))))
        known = _note_known(connection)
        events = _insert(connection, rows, manifest)
        rejects = merge.insert_rejected(connection, rows, manifest)
        read = sum(part.good + part.rejected for part in staged)
        if events + rejects == 0:
            raise psycopg.Rollback(transaction)
        _rebook(connection, _LOST_EVENTS, _REBOOK_EVENTS, events - known)
        _rebook(connection, _LOST_REJECTS, _REBOOK_REJECTS, rejects)
        merge.book(connection, manifest, merge.Counts(read, events - known, read - (events - known) - rejects, rejects))
        merge.drop_leftovers(connection)
    return Restored(read, events, known, rejects)


def _note_known(connection: psycopg.Connection) -> int:
    """Note which of the lacking events the marts hold, and from which load; how many."""
    ids: list[UUID] = [row[0] for row in connection.execute("select id from stage.lacking order by 1").fetchall()]
    with clients.postgres("monitor", connection.info.dbname) as monitor:
        if not ids or monitor.execute("select to_regclass('marts.fact_event')").fetchone() == (None,):
            return 0
        parts = [ids[first : first + _IDS_AT_ONCE] for first in range(0, len(ids), _IDS_AT_ONCE)]
        found = [row for part in parts for row in monitor.execute(_IN_MARTS, [part]).fetchall()]
    connection.execute("create unlogged table stage.known (id uuid, load_id bigint)")
    with connection.cursor().copy("copy stage.known from stdin") as copy:
        for row in found:
            copy.write_row(row)
    return connection.execute("update stage.lacking set load_id = known.load_id from stage.known where known.id = lacking.id").rowcount


def _insert(connection: psycopg.Connection, rows: sql.Composed, manifest: Mapping[str, object]) -> int:
    targets, values = merge.raw_columns()
    return connection.execute(sql.SQL(_INSERT).format(targets=targets, values=values, staged=rows), manifest).rowcount


def _rebook(connection: psycopg.Connection, lost: str, rebook: str, restored: int) -> None:
    """Let the loads that had brought restored rows count them as duplicates: the newest first, which the marts may not have read."""
    for load_id, number in connection.execute(lost.encode()).fetchall():
        moved = min(number, restored)
        if moved > 0:
            connection.execute(rebook.encode(), [moved, moved, load_id])
            restored -= moved
