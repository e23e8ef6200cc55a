"""Maintenance of the lake: retire days, compact, rewrite manifests, expire snapshots, remove orphans.

Run as `python -m spark_jobs.maintain`.
One Spark session for all steps, none when there is nothing to do. The stream, loads and readers go on meanwhile. Killed at any point
it can be run again: each commit is Iceberg's, and files of one that did not come about are orphans. The last line of standard output
is the result as JSON.
"""

import argparse
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property

import psycopg
from pyiceberg.table import StaticTable
from pyspark.sql import SparkSession

from loglake import clients, lake, tables, upkeep
from loglake.errors import ServiceError
from loglake.jobs import report
from loglake.settings import settings
from loglake.spark import batch_session
from loglake.upkeep import Step
from spark_jobs import lake_actions, lake_plan, merge, rebuild, retire
from spark_jobs.retire import Outcome

log = logging.getLogger("spark_jobs.maintain")

#: Iceberg's procedure counts no younger orphans; `LOGLAKE_MAINTENANCE_ORPHAN_HOURS` may be less.
_COUNTED_ORPHANS = timedelta(hours=24)


@dataclass
class Work:
    """What the steps share.

    The connection that holds the lock, the load's position, whether to change anything, and the Spark session, started when it is needed.
    """

    connection: psycopg.Connection
    position: int | None
    dry_run: bool
    stack: ExitStack
    began: float = field(default_factory=time.monotonic)

    @cached_property
    def spark(self) -> SparkSession:
        return self.stack.enter_context(batch_session("loglake-maintain"))


def run(names: Sequence[str], *, dry_run: bool = False) -> list[Step]:
    """Do the named steps, or say what they would do; LoadInProgressError while a rebuild, an erasure or another maintenance is running."""
    with clients.postgres("loader") as connection, ExitStack() as stack:
        stack.enter_context(rebuild.only_rebuild(connection))
        bronze = lake.table()
        if bronze is None:
            return [Step(name, "there is no lake yet", 0.0) for name in names]
        if not dry_run:
            retire.settle(connection, bronze)
        work = Work(connection, merge.last_position(connection)[1], dry_run, stack)
        return [_measured(name, step, work) for name, step in STEPS.items() if name in names]


def _measured(name: str, step: Callable[[Work], Outcome], work: Work) -> Step:
    """One step, with the files and bytes of the table's folder before and after it."""
    began, before = time.monotonic(), _folder()
    note, facts = step(work)
    after = _folder()
    if after != before:
        note += f" (folder: {before[0]:,} files, {before[1]:,} bytes → {after[0]:,} files, {after[1]:,} bytes)"
    sizes = {"files_before": before[0], "files_after": after[0], "bytes_before": before[1], "bytes_after": after[1]}
    done = Step(name, note, time.monotonic() - began, {**facts, **sizes})
    log.info("%s: %s, %.1f s", done.step, done.note, done.seconds)
    return done


def _folder() -> tuple[int, int]:
    """Files and bytes of the table's folder on HDFS, metadata included."""
    content = clients.webhdfs().content(tables.path_of(_bronze().location()))
    return int(content["fileCount"]), int(content["length"])


def _bronze() -> StaticTable:
    """The table as it is now; `run` has seen that there is one."""
    table = lake.table()
    if table is None:
        raise ServiceError(f"{tables.FULL_NAME} was dropped meanwhile")
    return table


def _retire(work: Work) -> Outcome:
    return retire.run(work.connection, _bronze, lambda: work.spark, dry_run=work.dry_run)


def _compact(work: Work) -> Outcome:
    config, target = settings().maintenance, settings().lake.target_file_mib * 1024 * 1024
    days = lake_plan.days_to_compact(lake_plan.sizes_by_day(_bronze()), target, config.min_files)
    if not days or work.dry_run:
        small, size = sum(day.files for day in days), sum(day.bytes for day in days)
        return f"{small:,} small files ({size:,} bytes) in {len(days):,} days to compact", {"days": len(days), "files_read": small}
    before = after = finished = 0
    for day in days:
        while time.monotonic() < work.began + config.minutes * 60:
            unit = lake_actions.compact(work.spark, day.day, target, config.min_files)
            before, after = before + unit.before, after + unit.after
            if unit.is_last:
                finished += 1
                break
    left = len(days) - finished
    note = f"{before:,} files became {after:,} in {finished:,} days" + (f", {left:,} days are left for the next run" if left else "")
    return note, {"days": finished, "days_left": left, "files_read": before, "files_written": after}


def _manifests(work: Work) -> Outcome:
    there, least = lake_plan.manifest_count(_bronze()), settings().maintenance.min_manifests
    if there < least or work.dry_run:
        return f"{there:,} manifests (rewritten from {least:,} on)", {"manifests": there}
    before, after = lake_actions.rewrite_manifests(work.spark)
    return f"{before:,} manifests became {after:,}", {"manifests_before": before, "manifests_after": after}


def _expire(work: Work) -> Outcome:
    config, history = settings().maintenance, lake_plan.history(_bronze())
    young = datetime.now(UTC) - timedelta(hours=config.keep_snapshot_hours)
    ids = lake_plan.expirable(history, work.position, config.keep_snapshots, young)
    facts: dict[str, float] = {"snapshots_before": len(history.snapshots), "snapshots": len(ids)}
    if not ids or work.dry_run:
        return f"{len(ids):,} of {len(history.snapshots):,} snapshots to expire", facts
    files = lake_actions.expire(work.spark, ids)
    return f"{len(ids):,} of {len(history.snapshots):,} snapshots expired, {files:,} files removed", {**facts, "files": files}


def _orphans(work: Work) -> Outcome:
    now, age = datetime.now(UTC), timedelta(hours=settings().maintenance.orphan_hours)
    if work.dry_run:
        age = max(age, _COUNTED_ORPHANS)
        found = lake_actions.count_orphans(work.spark, now - age)
        return f"{found:,} orphans older than {age / timedelta(hours=1):g} h to remove", {"files": found}
    removed = lake_actions.remove_orphans(work.spark, now - age)
    return f"{removed:,} orphans older than {age / timedelta(hours=1):g} h removed", {"files": removed}


#: In their order: what a step replaces is what a later one removes.
STEPS: dict[str, Callable[[Work], Outcome]] = {
    "lake": _retire,
    "compact": _compact,
    "manifests": _manifests,
    "expire": _expire,
    "orphans": _orphans,
}


def main() -> None:
    argparse.ArgumentParser(description="Maintain the lake's table.").parse_args()
    report(log, lambda: upkeep.as_json(run(list(STEPS))))


if __name__ == "__main__":
    main()
