"""Backfill of raw from the lake: what it lacks of a range of time. Run as `python -m spark_jobs.backfill --from T --to T`.

Of the lake as the last load saw it, the rows that Kafka received in the range are staged, and those that raw lacks come back
(`restore`). Run again it finds nothing. The last line of standard output is the result as JSON.
"""

import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg

from loglake import models, timerange
from loglake.errors import BadInputError
from loglake.jobs import Result, report
from loglake.settings import settings
from loglake.spark import batch_session
from spark_jobs import lake_range, merge
from spark_jobs.load import stage
from spark_jobs.restore import Restored, restore

log = logging.getLogger("spark_jobs.backfill")


@dataclass(frozen=True)
class Backfilled(Result):
    """What a backfill did, or with `dry_run` would do; `load_id` is None when nothing lacked or nothing was to be changed."""

    load_id: int | None
    files_read: int
    rows_read: int
    events_restored: int
    events_known: int
    rejects_restored: int
    dry_run: bool
    seconds: float

    @property
    def note(self) -> str:
        read = f"{self.rows_read:,} rows of {self.files_read} files in the lake"
        if self.events_restored + self.rejects_restored == 0:
            return f"backfill from the lake: raw lacks none of {read}, {self.seconds:.1f} s"
        what = f"{self.events_restored:,} events ({self.events_known:,} of them in the marts) and {self.rejects_restored:,} rejects"
        if self.dry_run:
            return f"dry run: of {read} raw lacks {what}, {self.seconds:.1f} s"
        return f"backfill from the lake, load {self.load_id}: of {read} raw lacked {what}, and has them again, {self.seconds:.1f} s"


def run(start: datetime, end: datetime, *, dry_run: bool = False) -> Backfilled:
    """Bring back what raw lacks of the rows that Kafka received from `start` on and before `end`.

    Loads and dbt runs wait meanwhile: which events the marts hold must not change.
    """
    began = time.monotonic()
    with merge.only_loader(settings().load.lock_timeout_seconds) as connection, models.only_run():
        merge.drop_leftovers(connection)
        files, load_id, restored = _backfill(connection, start, end, dry_run=dry_run)
        merge.drop_leftovers(connection)
    is_booked = not dry_run and restored.events + restored.rejects > 0
    counts = restored.rows_read, restored.events, restored.events_known, restored.rejects
    return Backfilled(load_id if is_booked else None, files, *counts, dry_run, time.monotonic() - began)


def _backfill(connection: psycopg.Connection, start: datetime, end: datetime, *, dry_run: bool) -> tuple[int, int, Restored]:
    """The files read, the number of the load, and what it restored."""
    last_id, position = merge.last_position(connection)
    if position is None:
        raise BadInputError("nothing has been loaded yet, so nothing can lack: run `loglake load`")
    with batch_session("loglake-backfill") as spark:
        planned, started_at = lake_range.plan_received(spark, position, start, end), datetime.now(UTC)
        if not planned.files:
            return 0, last_id, Restored(0, 0, 0, 0)
        staged = stage(spark, planned, last_id + 1, "stage", (start, end))
    manifest = {
        "load_id": last_id + 1,
        # It begins where it ends: the next load goes on from there, and the books know that nothing new was read.
        "snapshot_from": position,
        "snapshot_to": position,
        "started_at": started_at,
        "files_read": len(planned.files),
    }
    return len(planned.files), last_id + 1, restore(connection, staged, manifest, dry_run=dry_run)


def main() -> None:
    arguments = timerange.parser("Bring back what raw lacks of a range of time, from the lake.", required=True).parse_args()
    report(log, lambda: run(*timerange.parse_closed(arguments.start, arguments.end), dry_run=arguments.dry_run).as_json())


if __name__ == "__main__":
    main()
