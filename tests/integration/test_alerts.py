"""Alerts on the real servers: each fired by its cause and content again after it; and a failing run of the real scheduler, told once."""

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from loglake import batch_steps, clients
from loglake.alerts import gather, steps
from loglake.alerts.rules import Verdict, judge
from loglake.errors import ServiceError
from loglake.operation_settings import AlertSettings
from loglake.orchestrate import DAG_ID, Airflow
from loglake.settings import settings
from loglake.warehouse import LOAD_LOCK_KEY
from tests import pipeline
from tests.alertfacts import WELL
from tests.alertservers import Endpoint, endpoint
from tests.stackfixture import EmbeddedStack
from tests.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1500)]
MIB = 2**20


def now_firing(**limits: float) -> dict[str, Verdict]:
    """What fires at this moment, at these limits."""
    return {verdict.key: verdict for verdict in judge(gather.gather(), AlertSettings(**limits)) if verdict.state == "firing"}


def test_a_stopped_stream_a_stopped_broker_and_what_waits_to_be_loaded(lake_stream: EmbeddedStack, tmp_path: Path) -> None:
    # given some files in the lake, all of it loaded: nothing of the way into the warehouse fires, however strict the limits
    pipeline.generate(lake_stream, tmp_path / "before", "--count", "200", "--seed", "50")
    pipeline.wait_in_lake(lake_stream)
    pipeline.load(lake_stream)
    assert set(batch_steps.check_services()["services"]) == {"Postgres", "Spark", "HDFS", "Kafka", "stream"}
    strict = {"lake_stale_seconds": 0.01, "lag_records": 399, "load_stale_seconds": 0.01}
    assert not now_firing(**strict).keys() & {"lake_stale", "lag", "load_stale", "balance", "service_down:stream"}
    # when the stream is stopped and records come, they are stale and lag
    lake_stream.stop("lake-stream")
    try:
        truth = pipeline.generate(lake_stream, tmp_path / "ledger", "--count", "400", "--seed", "51", "--malformed", "0.3")
        found = now_firing(**strict)
        assert {"lake_stale", "lag"} <= found.keys()
        assert found["lag"].value == truth.acknowledged
        # and when the broker is stopped too, it is named, and what only it knows is unknown without an alarm of its own
        lake_stream.stop("kafka")
        verdicts = {verdict.key: verdict for verdict in judge(gather.gather(), AlertSettings(**strict))}
        assert verdicts["service_down:Kafka"].state == "firing"
        with pytest.raises(ServiceError, match="Kafka: no broker answers"):
            batch_steps.check_services()
        assert (verdicts["lag"].state, verdicts["facts_unknown:Kafka"].state, verdicts["balance"].state) == ("unknown", "ok", "ok")
        shown = lake_stream.cli("status")
        assert "firing Service down: Kafka: no broker answers" in shown.stdout
        assert shown.returncode == 1
    finally:
        lake_stream.start(("kafka", "lake-stream"))
    # then the stream catches up, and the lake waits to be loaded; its files are small, and many records were bad
    pipeline.wait_in_lake(lake_stream)
    wait_for("the stream to report that it waits", lambda: not now_firing(**strict).keys() & {"lake_stale", "lag"})
    found = now_firing(**strict, small_files=1, reject_percent=0.001)
    assert {"load_stale", "small_files", "reject_rate"} <= found.keys()
    pipeline.load(lake_stream)
    assert not now_firing(**strict).keys() & {"load_stale", "balance"}
    # and the digest, which reads the whole books, finds them balanced
    lines = steps.put_digest().splitlines()
    assert "Fresh: everything in the lake is loaded" in lines
    assert lines[-1].startswith("Books: balanced, ")


def test_rows_of_the_lake_that_no_manifest_counts_break_the_balance(lake_stream: EmbeddedStack) -> None:
    """The lake's snapshot against the manifests: one row read more than the lake holds, which only this check can see."""
    pipeline.wait_in_lake(lake_stream)
    pipeline.load(lake_stream)
    change = """
        update ops.load_manifest set rows_read = rows_read + %(rows)s, rows_duplicate = rows_duplicate + %(rows)s
        where load_id = (select max(load_id) from ops.load_manifest)
    """
    with clients.postgres("loader") as connection:
        connection.execute(change, {"rows": 1})
        try:
            assert "rows were read of" in now_firing()["balance"].detail
        finally:
            connection.execute(change, {"rows": -1})
    assert "balance" not in now_firing()


def test_a_fuller_hdfs_fires_and_an_emptied_one_is_content(stack: EmbeddedStack) -> None:
    before = gather.ask_hdfs()
    limit = 100 * (before.used + 32 * MIB) / (before.used + before.remaining)

    def fires() -> bool:
        facts = replace(WELL, hdfs=gather.ask_hdfs())
        return "hdfs_capacity" in {v.key for v in judge(facts, AlertSettings(hdfs_used_percent=limit)) if v.state == "firing"}

    assert not fires()
    clients.webhdfs().write("/probe/large.bin", data=os.urandom(96 * MIB), overwrite=True)
    try:
        wait_for("the DataNode to report what is used", fires, 60)
    finally:
        clients.webhdfs().delete("/probe/large.bin", skip_trash=True)
    wait_for("the DataNode to report what is free", lambda: not fires(), 60)


def test_a_fuller_disk_fires(postgres: EmbeddedStack) -> None:
    limit = (shutil.disk_usage(postgres.runtime).free - 256 * MIB) / 2**30
    filler = postgres.runtime / "filler"
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, 768 * MIB)
        found = now_firing(disk_free_gib=limit)
    filler.unlink()
    assert "disk_free" in found


@pytest.fixture
def slack(airflow: EmbeddedStack) -> Iterator[Endpoint]:
    """Where the stack under test takes Slack to be, and no message of an earlier test."""
    with clients.postgres("loader") as connection, connection.transaction():
        for table in ("outbox_delivery", "outbox_channel", "outbox", "incident"):
            connection.execute(f"delete from ops.{table}")
    with endpoint(urlsplit(airflow.environment["LOGLAKE_SLACK_WEBHOOK_URL"]).port or 0) as found:
        yield found


def run_alerts() -> None:
    """One run of the alert DAG by the real scheduler, to its end."""
    airflow = Airflow()
    list(airflow.follow(airflow.trigger(steps.DAG_ID), steps.DAG_ID))


def ended(run_id: str) -> list[tuple[str]]:
    """What the DAG's callback noted of a run."""
    return pipeline.query("select state from ops.dag_run where dag_id = %s and run_id = %s", DAG_ID, run_id)


def about_the_batch(slack: Endpoint) -> list[str]:
    return [text for text in slack.texts if DAG_ID in text]


def test_a_failing_run_of_the_scheduler_is_told_once_and_its_recovery_once(airflow: EmbeddedStack, slack: Endpoint) -> None:
    pipeline.wait_in_lake(airflow)
    runs = Airflow()
    # given a load in flight, which the batch's second task finds in all its tries
    with clients.postgres("loader") as other:
        other.execute("select pg_advisory_lock(%s)", [LOAD_LOCK_KEY])
        failed = runs.trigger()
        with pytest.raises(ServiceError, match="another load is in flight"):
            list(runs.follow(failed))
        session = other.info.backend_pid
    # when the task's and the DAG's callbacks have been called, and the alert DAG runs, twice
    wait_for("the callback of the failed run", lambda: ended(failed) == [("failed",)], 120)
    run_alerts()
    run_alerts()
    # then there is one message
    task = "validate_and_processing_group.validate_postgres_data"
    (problem,) = about_the_batch(slack)
    lines = problem.splitlines()
    assert lines[0] == "*PROBLEM: loglake_batch failed in validate_postgres_data*"
    assert lines[1] == f"Try 3 of 3: another load is in flight (Postgres session {session}): wait until it has ended"
    assert lines[2].startswith(f"Log: http://127.0.0.1:{settings().airflow.port}/dags/{DAG_ID}/runs/")
    assert lines[2].endswith(f"/tasks/{task}?try_number=3")
    assert re.fullmatch(r"No run has succeeded yet\.|Last good run: \d{4}-\d\d-\d\d \d\d:\d\d UTC", lines[3])
    assert lines[4].startswith("What to do: the error says what is wrong with the warehouse; `loglake reconcile` has the books. Runbook:")
    # and when the next run succeeds, one more
    good = runs.trigger()
    list(runs.follow(good))
    wait_for("the callback of the good run", lambda: ended(good) == [("success",)], 120)
    run_alerts()
    assert [text.splitlines()[0] for text in about_the_batch(slack)[1:]] == ["*OK AGAIN: loglake_batch failed in validate_postgres_data*"]
