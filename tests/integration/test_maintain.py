"""`loglake maintain` on the real stack, with a producer, the stream, a load and a reader at work meanwhile, and killed on its way."""

import json
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from loglake import clients, lake, tables
from loglake.settings import settings
from tests import pipeline
from tests.stackfixture import EmbeddedStack
from tests.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1200)]
#: Little is kept, so that there is something to do.
EAGER = {
    "LOGLAKE_MAINTENANCE_KEEP_SNAPSHOTS": "3",
    # Enough for a reader on a slow machine to end what it has begun.
    "LOGLAKE_MAINTENANCE_KEEP_SNAPSHOT_HOURS": "0.01",
    "LOGLAKE_MAINTENANCE_MIN_MANIFESTS": "2",
    "LOGLAKE_MAINTENANCE_MIN_FILES": "2",
    "LOGLAKE_MAINTENANCE_ORPHAN_HOURS": "1",
}
FLAWS = ("--late", "0.05", "--resent", "0.05", "--malformed", "0.01")


@dataclass(frozen=True)
class Story:
    """What a maintenance run did, and what the next load read of that many new rows."""

    loaded: dict[str, Any]
    sent_since: int
    steps: dict[str, dict[str, float]]
    old_orphan: bool
    new_orphan: bool
    reads: int


def shape() -> tuple[int, int]:
    """The lake's snapshots, and the data files of the current one."""
    table = lake.table()
    assert table is not None
    return len(table.snapshots()), len(lake.data_files(table))


def folder() -> str:
    table = lake.table()
    assert table is not None
    return tables.path_of(table.location())


@contextmanager
def reading() -> Iterator[list[int]]:
    """Count the lake again and again, with each row's position; the rows of each reading."""
    enough, rows = threading.Event(), list[int]()

    def read() -> None:
        while not enough.is_set():
            table = lake.table()
            assert table is not None
            counted = lake.count(table)
            held = [partition for partitions in counted.topics.values() for partition in partitions.values()]
            assert [(partition.missing, partition.repeated) for partition in held] == [(0, 0)] * len(held)
            rows.append(counted.good + counted.rejected)
            enough.wait(1)

    with ThreadPoolExecutor(1) as pool:
        reader = pool.submit(read)
        try:
            yield rows
        finally:
            enough.set()
        reader.result()


def kill_in_spark(stack: EmbeddedStack) -> None:
    """kill -9 of a maintenance run, and of what it started, as soon as it has its executors."""
    eager = replace(stack, environment={**stack.environment, **EAGER})
    victim = pipeline.popen(eager, "maintain", "--only", "compact")
    master = f"http://127.0.0.1:{settings().spark.master_ui_port}/json/"

    def is_at_work() -> bool:
        apps = clients.json_page(master)["activeapps"]
        return victim.poll() is not None or any(app["name"] == "loglake-maintain" and app["state"] == "RUNNING" for app in apps)

    wait_for("maintenance to be at work in Spark", is_at_work, seconds=600)
    assert victim.poll() is None, victim.communicate()[0]
    family = psutil.Process(victim.pid).children(recursive=True)
    os.kill(victim.pid, signal.SIGKILL)
    for member in family:
        if member.is_running():
            member.kill()
    victim.communicate(timeout=60)


def put_orphan(name: str, age: timedelta) -> str:
    path = f"{folder()}/data/{name}"
    clients.webhdfs().write(path, b"left by a killed writer", overwrite=True)
    clients.webhdfs().set_times(path, modification_time=int((datetime.now(UTC) - age).timestamp() * 1000))
    return path


def is_there(path: str) -> bool:
    return clients.webhdfs().status(path, strict=False) is not None


@pytest.fixture(scope="module")
def maintained(lake_stream: EmbeddedStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    ledgers = tmp_path_factory.mktemp("ledgers")
    # given a lake of small files from several commits, all of it loaded
    for number in range(3):
        pipeline.generate(lake_stream, ledgers / f"before{number}", "--count", "200", "--seed", f"61{number}", *FLAWS)
        pipeline.wait_in_lake(lake_stream)
    pipeline.load(lake_stream)
    kill_in_spark(lake_stream)
    orphans = put_orphan("old.parquet", timedelta(hours=2)), put_orphan("being-written.parquet", timedelta(minutes=30))
    # when maintenance runs while events come and somebody reads
    sender = pipeline.popen(lake_stream, "generate", "--ledger", str(ledgers / "during"), "--rate", "20", "--seed", "62", *FLAWS)
    try:
        with reading() as rows:
            done = lake_stream.cli("maintain", "--only", "compact,manifests,expire,orphans", "--json", **EAGER)
            assert done.returncode == 0, done.stderr
    finally:
        sender.send_signal(signal.SIGINT)
        sender.communicate(timeout=120)
    found = pipeline.wait_in_lake(lake_stream)
    sent = pipeline.in_lake(found) - found["loaded"]["rows_since_full"]
    loaded = pipeline.load(lake_stream)
    left = [is_there(path) for path in orphans]
    yield Story(loaded, sent, json.loads(done.stdout.splitlines()[-1])["steps"], *left, len(rows))
    clients.webhdfs().delete(orphans[1])


def test_each_step_says_what_it_saved(maintained: Story) -> None:
    steps = maintained.steps
    assert steps["compact"]["files_read"] > steps["compact"]["files_written"] > 0
    assert steps["manifests"]["manifests_before"] > steps["manifests"]["manifests_after"] > 0
    assert steps["expire"]["snapshots_before"] > steps["expire"]["snapshots"] > 0
    assert steps["expire"]["files"] >= steps["expire"]["snapshots"]
    assert all(step["seconds"] > 0 and step["bytes_before"] > 0 for step in steps.values())


def test_an_orphan_goes_when_it_is_old_and_not_before(maintained: Story) -> None:
    assert (maintained.old_orphan, maintained.new_orphan) == (False, True)
    assert maintained.steps["orphans"]["files"] >= 1


def test_the_next_load_reads_what_is_new_and_readers_saw_every_row_once(maintained: Story, lake_stream: EmbeddedStack) -> None:
    assert maintained.reads > 0
    assert maintained.loaded["rows_read"] == maintained.sent_since > 0
    found = pipeline.wait_in_lake(lake_stream)
    pipeline.exactly_once(found)
    assert (found["balanced"], found["findings"]) == (True, [])


@pytest.mark.usefixtures("maintained")
def test_the_stream_goes_on_from_its_checkpoint_and_files_and_snapshots_become_few(lake_stream: EmbeddedStack, tmp_path: Path) -> None:
    told_before = len(lake_stream.log_lines("lake-stream"))
    pid = lake_stream.kill("lake-stream")
    lake_stream.wait_healthy("lake-stream", not_pid=pid)

    def told() -> list[str]:
        lines = lake_stream.log_lines("lake-stream")[told_before:]
        return [line for line in lines if "continuing from" in line or "starting from the lake" in line]

    assert "continuing from the checkpoint" in wait_for("the stream to say where it goes on", told)[-1]
    truth = pipeline.generate(lake_stream, tmp_path / "ledger", "--count", "300", "--seed", "63", *FLAWS)
    found = pipeline.wait_in_lake(lake_stream)
    pipeline.exactly_once(found)
    assert pipeline.load(lake_stream)["rows_read"] == truth.acknowledged
    # and with nobody at work, few files and snapshots are left; what the first run replaced goes, now that the load is past it
    before = shape()
    eager = {**EAGER, "LOGLAKE_MAINTENANCE_KEEP_SNAPSHOT_HOURS": "0"}
    done = json.loads(lake_stream.cli("maintain", "--only", "compact,expire", "--json", **eager).stdout.splitlines()[-1])
    after = shape()
    assert (after[0] < before[0], after[1] < before[1]) == (True, True), (before, after)
    assert done["steps"]["expire"]["files_before"] > done["steps"]["expire"]["files_after"]
    assert done["steps"]["expire"]["files"] > done["steps"]["expire"]["snapshots"]
    pipeline.exactly_once(pipeline.books(lake_stream))


def test_maintenance_waits_for_no_rebuild_but_says_so(lake_stream: EmbeddedStack) -> None:
    from spark_jobs import rebuild

    with clients.postgres("postgres") as admin, rebuild.only_rebuild(admin):
        done = lake_stream.cli("maintain", "--only", "expire")
    assert done.returncode == 1
    assert "another rebuild is running, or an erasure or maintenance of the lake" in done.stderr
