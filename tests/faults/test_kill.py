"""kill -9 of the stream, of the load and of the broker, in mid-flow with events still arriving: the four promises hold after."""

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from loglake import clients
from loglake.settings import settings
from loglake.warehouse import LOAD_LOCK_KEY
from producers import ledger
from tests import pipeline
from tests.stackfixture import EmbeddedStack

pytestmark = pytest.mark.faults


@contextlib.contextmanager
def arriving(stack: EmbeddedStack, path: Path, seed: int) -> Iterator["subprocess.Popen[str]"]:
    """A generator that sends until the block ends, then stops in order; everything it sent must have been acknowledged."""
    options = ("--rate", "300", "--seed", str(seed), "--late", "0.02", "--resent", "0.02", "--malformed", "0.01", "--ledger", str(path))
    process = pipeline.popen(stack, "generate", *options)
    try:
        pipeline.wait_for(
            "the generator's first acknowledgements", lambda: process.poll() is not None or (path.exists() and path.stat().st_size)
        )
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output


def promises_hold(stack: EmbeddedStack, path: Path, before: dict) -> None:
    """All that the ledger says was acknowledged went through, once."""
    truth = ledger.truth(ledger.read(path))
    assert truth.not_sent == 0
    assert truth.acknowledged > 0
    pipeline.exactly_once(pipeline.wait_in_lake(stack))
    pipeline.load(stack)
    after = pipeline.books(stack)
    assert after["balanced"], after["findings"]
    assert after["raw_events"] - before["raw_events"] == truth.events
    assert after["raw_rejected"] - before["raw_rejected"] == truth.rejected
    # A producer's retry may leave a copy in the topic, which the warehouse counts as a duplicate; it never loses one.
    assert after["loaded"]["rows_duplicate"] - before["loaded"]["rows_duplicate"] >= truth.duplicates
    assert pipeline.in_lake(after) - pipeline.in_lake(before) >= truth.acknowledged


@pytest.fixture
def settled(lake_stream: EmbeddedStack) -> dict:
    """The books with everything loaded that was sent before the test."""
    pipeline.wait_in_lake(lake_stream)
    pipeline.load(lake_stream)
    return pipeline.books(lake_stream)


def batches() -> int:
    return int(pipeline.scalar("select count(*) from ops.stream_progress"))


def test_the_stream_killed_twice_in_mid_flow(lake_stream, settled, tmp_path):
    with arriving(lake_stream, tmp_path / "ledger", 21):
        for _ in range(2):
            known = batches()
            pipeline.wait_for("a batch of the stream", lambda known=known: batches() > known)
            pid = lake_stream.kill("lake-stream")
            lake_stream.wait_healthy("lake-stream", not_pid=pid)
    promises_hold(lake_stream, tmp_path / "ledger", settled)


def executors(stack: EmbeddedStack) -> list[psutil.Process]:
    """The living Spark executors of the stack; one that has just ended may still be listed as a zombie."""
    found = []
    for process in stack.family():
        with contextlib.suppress(psutil.Error):
            if "CoarseGrainedExecutorBackend" in " ".join(process.cmdline()):
                found.append(process)
    return found


def test_the_streams_executor_killed_in_mid_flow(lake_stream, settled, tmp_path):
    with arriving(lake_stream, tmp_path / "ledger", 22):
        known = batches()
        pipeline.wait_for("a batch of the stream", lambda: batches() > known)
        (executor,) = executors(lake_stream)
        executor.kill()
        known = batches()
        pipeline.wait_for("a batch after the executor was replaced", lambda: batches() > known)
    promises_hold(lake_stream, tmp_path / "ledger", settled)


def test_the_broker_killed_in_mid_flow(lake_stream, settled, tmp_path):
    with arriving(lake_stream, tmp_path / "ledger", 23):
        known = batches()
        pipeline.wait_for("a batch of the stream", lambda: batches() > known)
        pid = lake_stream.kill("kafka")
        lake_stream.wait_healthy("kafka", not_pid=pid)
        known = batches()
        pipeline.wait_for("a batch after the broker came back", lambda: batches() > known)
    promises_hold(lake_stream, tmp_path / "ledger", settled)


def staged_tables() -> list[str]:
    return [row[0] for row in pipeline.query("select tablename::text from pg_tables where schemaname = 'stage'")]


def merging() -> int:
    """How many sessions of the loader are inserting into the warehouse."""
    return int(
        pipeline.query(
            "select count(*) from pg_stat_activity where usename = 'loader' and state = 'active' and query ilike %s",
            '%insert into "raw".log_events%',
            role="postgres",
        )[0][0]
    )


@pytest.mark.parametrize(("phase", "reached"), [("copying", staged_tables), ("merging", merging)])
def test_the_load_killed_in_mid_flow(lake_stream, settled, tmp_path, phase, reached):
    pipeline.generate(lake_stream, tmp_path / "first", "--count", "40000", "--seed", "24", "--resent", "0.05", "--malformed", "0.01")
    pipeline.wait_in_lake(lake_stream)
    with arriving(lake_stream, tmp_path / "ledger", 25):
        victim = pipeline.popen(lake_stream, "load", "--json")
        pipeline.wait_for(f"the load to be {phase}", lambda: victim.poll() is not None or reached())
        assert victim.poll() is None, f"the load ended before it could be killed: {victim.communicate()[0]}"
        children = psutil.Process(victim.pid).children(recursive=True)
        os.kill(victim.pid, signal.SIGKILL)
        victim.communicate(timeout=60)
        psutil.wait_procs(children, timeout=60)
        after = pipeline.books(lake_stream)
        assert after["raw_events"] == settled["raw_events"]
        assert after["loaded"] == settled["loaded"]
    with (tmp_path / "ledger").open("ab") as both:
        both.write((tmp_path / "first").read_bytes())
    promises_hold(lake_stream, tmp_path / "ledger", settled)
    assert staged_tables() == []


def test_two_loads_at_once_load_once(lake_stream, settled, tmp_path):
    truth = pipeline.generate(lake_stream, tmp_path / "ledger", "--count", "5000", "--seed", "26")
    pipeline.wait_in_lake(lake_stream)
    both = [pipeline.popen(lake_stream, "load", "--json") for _ in range(2)]
    outputs = [process.communicate(timeout=300)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    read = [json.loads(output.splitlines()[-1])["rows_read"] for output in outputs]
    assert sorted(read) == [0, truth.acknowledged]
    assert pipeline.books(lake_stream)["balanced"]


def test_a_load_that_cannot_have_the_lock_leaves_with_one_clear_line(lake_stream, settled):
    with clients.postgres("loader") as holder:
        holder.execute("select pg_advisory_lock(%s)", [LOAD_LOCK_KEY])
        done = lake_stream.cli("load", LOGLAKE_LOAD_LOCK_TIMEOUT_SECONDS="0.5")
    assert done.returncode == 1
    assert "another load is running" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def stopped_stream(lake_stream: EmbeddedStack) -> Iterator[EmbeddedStack]:
    """The stack with the lake stream stopped; it runs again afterwards."""
    lake_stream.stop("lake-stream")
    yield lake_stream
    lake_stream.start(("lake-stream",))


def checkpoint() -> str:
    return f"{settings().lake.checkpoints}/bronze.log_events"


def test_a_deleted_checkpoint_makes_neither_duplicates_nor_gaps(settled, stopped_stream, tmp_path):
    assert clients.webhdfs().delete(checkpoint(), recursive=True), "there is no checkpoint to delete"
    pipeline.generate(stopped_stream, tmp_path / "ledger", "--count", "2000", "--seed", "27", "--resent", "0.05")
    stopped_stream.start(("lake-stream",))
    promises_hold(stopped_stream, tmp_path / "ledger", settled)


def test_a_foreign_checkpoint_is_set_aside(settled, stopped_stream, tmp_path):
    client = clients.webhdfs()
    with client.read(f"{checkpoint()}/metadata") as reader:
        metadata = json.loads(reader.read())
    client.write(
        f"{checkpoint()}/metadata", json.dumps({**metadata, "id": "00000000-0000-4000-8000-000000000000"}), overwrite=True, encoding="utf-8"
    )
    pipeline.generate(stopped_stream, tmp_path / "ledger", "--count", "2000", "--seed", "28", "--resent", "0.05")
    stopped_stream.start(("lake-stream",))
    promises_hold(stopped_stream, tmp_path / "ledger", settled)
    assert any(name.startswith("bronze.log_events.2") for name in client.list(settings().lake.checkpoints))
