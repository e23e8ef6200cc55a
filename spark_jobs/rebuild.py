"""Everything in the warehouse anew from the lake alone: filled in a shadow (`loglake.shadow`), then swapped in.

Killed at any point it leaves the warehouse as it was, or already swapped; what is left over is dropped by the next rebuild.
Most of the work is done while loads and dbt runs go on. Only for the last of it, what came meanwhile, they have to wait.
Run by `loglake rebuild`, or as `python -m spark_jobs.rebuild`, whose last line of standard output is the result as JSON.
"""

import argparse
import logging
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

from loglake import clients, locks, models, retirement, shadow
from loglake.errors import LoadInProgressError
from loglake.jobs import Result, report
from loglake.warehouse import REBUILD_LOCK_KEY
from spark_jobs import merge
from spark_jobs.load import load_new

log = logging.getLogger("spark_jobs.rebuild")

#: All models but the snapshot, which is taken along at the end; without the tests that read all history.
_FIRST_BUILD = ["build", "--exclude", "resource_type:snapshot", "tag:full", "test_type:unit"]
#: A load or a dbt run that is under way is waited for: the greater part of the work is done by then.
_LOCK_SECONDS = 1800
_COUNTS = """
select (select count(*) from raw.log_events), (select count(*) from raw.rejected_events)
"""
OnStep = Callable[[str], object]


@dataclass(frozen=True)
class Rebuilt(Result):
    """What a rebuild did: rows before and after, and the seconds of its parts; loads and dbt runs waited `held_seconds`."""

    events_before: int
    events: int
    rejected_before: int
    rejected: int
    load_seconds: float
    model_seconds: float
    held_seconds: float
    seconds: float
    dropped: bool

    @property
    def note(self) -> str:
        left = "" if self.dropped else f"; the schemas {shadow.REPLACED}… are still being read, the next rebuild drops them"
        return (
            f"rebuilt: {self.events:,} events (before: {self.events_before:,}) and {self.rejected:,} rejects "
            f"(before: {self.rejected_before:,}) in {self.seconds:.1f} s: load {self.load_seconds:.1f} s, "
            f"models {self.model_seconds:.1f} s, swap and what came meanwhile {self.held_seconds:.1f} s{left}"
        )


def run(on_step: OnStep, *, lose_retired: bool = False) -> Rebuilt:
    """Rebuild raw and all that dbt makes of it; `on_step` is told what begins.

    BadInputError when that would lose days which the lake has retired, unless `lose_retired`.
    """
    with clients.postgres("postgres") as admin, only_rebuild(admin):
        retirement.require_accepted_loss(admin, accepted=lose_retired)
        return rebuild(admin, on_step)


def rebuild(admin: psycopg.Connection, on_step: OnStep) -> Rebuilt:
    """The same over the superuser's connection `admin`, which holds the rebuild's lock (`only_rebuild`)."""
    began = time.monotonic()
    with clients.postgres("loader") as loader:
        prefix = shadow.create(admin)
        _remove_targets()
        on_step("loading the lake into a shadow of raw")
        load_new(loader, prefix=prefix)
        loaded = time.monotonic()
        on_step("building the models in a shadow of the marts")
        models.run_dbt(_FIRST_BUILD, prefix=prefix)
        built = time.monotonic()
        on_step("bringing the shadow up to date, then swapping it in")
        with merge.only_loader(_LOCK_SECONDS), models.only_run():
            held = time.monotonic()
            merge.drop_leftovers(loader)
            load_new(loader, prefix=prefix)
            shadow.copy_snapshot(admin, prefix)
            models.run_dbt(["build"], prefix=prefix)
            before = _counts(admin)
            shadow.swap(admin, prefix)
            after, swapped = _counts(admin), time.monotonic()
        on_step("dropping what was replaced")
        dropped = shadow.drop_leftovers(admin)
        _remove_targets()
    times = loaded - began, built - loaded, swapped - held, time.monotonic() - began
    return Rebuilt(before[0], after[0], before[1], after[1], *times, dropped)


@contextmanager
def only_rebuild(connection: psycopg.Connection) -> Iterator[None]:
    """Hold the lock of whatever remakes warehouse or lake, for as long as the connection lives; LoadInProgressError when it is taken."""
    if not locks.take(connection, REBUILD_LOCK_KEY):
        raise LoadInProgressError("another rebuild is running, or an erasure or maintenance of the lake: wait for it to end")
    yield


def _remove_targets() -> None:
    """Remove dbt's folders of this and of killed rebuilds; a killed one's dbt may still be writing, and then the next rebuild does."""
    for folder in models.target_dir().parent.glob(f"{shadow.SHADOW}*"):
        shutil.rmtree(folder, ignore_errors=True)


def _counts(connection: psycopg.Connection) -> tuple[int, int]:
    return connection.execute(_COUNTS).fetchall()[0]


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the warehouse anew from the lake, and swap it in.")
    parser.add_argument("--parent", default="", help="the run of Airflow that this is part of; taken so that all batch jobs take the same")
    parser.parse_args()
    report(log, lambda: run(lambda step: log.info("%s", step)).as_json())


if __name__ == "__main__":
    main()
