"""Maintenance that needs no Spark: what `ops`, Airflow's metadata and Airflow's task logs hold for longer than they should.

Each step can be killed at any point and run again. Those of the lake are `spark_jobs.maintain`'s.
"""

import json
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg

from loglake import clients, jobs
from loglake.settings import settings

#: Rows that one statement deletes.
_BATCH = 10_000
#: A topic's newest row says how far the stream has come in it (`loglake.topic.reached`), so it stays however old it is.
_OLD = """
from ops.stream_progress
join (select topic, max(finished_at) as newest from ops.stream_progress group by topic) as topics using (topic)
where finished_at < least(%s, newest)
"""
_OLD_PROGRESS = f"select count(*) {_OLD}"
#: What goes is added up in the same statement, so that sums over the stream's whole life never fall, nor count a row twice.
_RETIRE_PROGRESS = f"""
with gone as (
    delete from ops.stream_progress
    where (query_id, batch_id) in (select query_id, batch_id {_OLD} order by finished_at limit %s)
    returning topic, duration_ms, rows_read, rows_rejected
), added as (
    insert into ops.retired_progress as retired
    select topic, count(*), sum(duration_ms), sum(rows_read), sum(rows_rejected) from gone group by topic
    on conflict (topic) do update set batches = retired.batches + excluded.batches,
                                      duration_ms = retired.duration_ms + excluded.duration_ms,
                                      rows_read = retired.rows_read + excluded.rows_read,
                                      rows_rejected = retired.rows_rejected + excluded.rows_rejected
)
select count(*) from gone
"""  # noqa: S608 - a constant


@dataclass(frozen=True)
class Step:
    """What a step of maintenance did, or would do: small facts, and one line that says them."""

    step: str
    note: str
    seconds: float
    facts: dict[str, float] = field(default_factory=dict)


def as_json(steps: list[Step]) -> str:
    """One line: the facts of each step by its name, and a note with all of theirs (see `loglake.jobs.run_job`)."""
    facts = {step.step: {**step.facts, "seconds": round(step.seconds, 1)} for step in steps}
    return json.dumps({"steps": facts, "note": "; ".join(f"{step.step}: {step.note}, {step.seconds:.1f} s" for step in steps)})


def clean_progress(*, dry_run: bool = False, database: str | None = None) -> Step:
    """Delete old rows of `ops.stream_progress`, some at a time; their sums go into `ops.retired_progress`."""
    began, before = time.monotonic(), _before(settings().maintenance.progress_days)
    if before is None:
        return _kept("progress")
    with clients.postgres("loader", database) as connection:
        if dry_run:
            rows = _count(connection, _OLD_PROGRESS, before)
        else:
            rows = 0
            while deleted := _count(connection, _RETIRE_PROGRESS, before, _BATCH):
                rows += deleted
    return Step("progress", f"{rows:,} rows of ops.stream_progress {_done(dry_run)}", time.monotonic() - began, {"rows": rows})


def clean_airflow(*, dry_run: bool = False) -> Step:
    """Delete old rows of Airflow's metadata, in a process that may reach it: a task may not."""
    began, before = time.monotonic(), _before(settings().maintenance.airflow_days)
    if before is None:
        return _kept("airflow")
    arguments = [before.isoformat(), *(["--dry-run"] if dry_run else [])]
    rows = jobs.run_job("the cleaning of Airflow's metadata", jobs.command("stack.airflow_clean", *arguments))["rows"]
    return Step("airflow", f"{rows:,} rows of Airflow's metadata {_done(dry_run)}", time.monotonic() - began, {"rows": rows})


def clean_logs(*, dry_run: bool = False) -> Step:
    """Delete old log files of Airflow's tasks and DAG files, and the folders that are empty then."""
    began, before = time.monotonic(), _before(settings().maintenance.log_days)
    if before is None:
        return _kept("logs")
    folder = settings().runtime.logs_dir / "airflow"
    found = [(path, path.stat()) for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink()]
    old = expired_logs(((path, stat.st_mtime) for path, stat in found), before)
    size = sum(stat.st_size for path, stat in found if path in old)
    if not dry_run:
        for path in old:
            path.unlink(missing_ok=True)
            _remove_empty(path.parent, folder)
    note = f"{len(old):,} of {len(found):,} log files ({size:,} bytes) {_done(dry_run)}"
    return Step("logs", note, time.monotonic() - began, {"files": len(old), "bytes": size})


def expired_logs(files: Iterable[tuple[Path, float]], before: datetime) -> set[Path]:
    """Those of (path, time of the last write in seconds) that were last written before then."""
    return {path for path, written in files if written < before.timestamp()}


#: The steps of this module, by name.
STEPS: dict[str, Callable[..., Step]] = {"progress": clean_progress, "airflow": clean_airflow, "logs": clean_logs}


def _count(connection: psycopg.Connection, statement: str, *values: object) -> int:
    """The one number that a statement answers."""
    return int(connection.execute(statement, values).fetchall()[0][0])


def _remove_empty(folder: Path, root: Path) -> None:
    """Remove the folder and those above it, below `root`, as far as they are empty."""
    while folder != root and folder.is_dir() and not any(os.scandir(folder)):
        folder.rmdir()
        folder = folder.parent


def _before(days: int) -> datetime | None:
    """What is older goes; None when all is kept."""
    return datetime.now(UTC) - timedelta(days=days) if days else None


def _kept(step: str) -> Step:
    return Step(step, "kept for ever", 0.0)


def _done(dry_run: bool) -> str:
    return "would be deleted" if dry_run else "deleted"
