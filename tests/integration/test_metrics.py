"""The end point on the real servers: its values are those of the books, and it answers whatever is down."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from loglake import clients, health
from loglake.metrics import audit, seen
from loglake.metrics.dashboard import expressions
from loglake.settings import LOOPBACK, settings
from tests import pipeline
from tests.metricfacts import metric_names
from tests.stackfixture import EmbeddedStack
from tests.waiting import wait_for

pytestmark = pytest.mark.integration
_MOST_MIB = 120
UP = ("postgres", "kafka", "hdfs", "lake", "spark", "stream")
Scrape = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture(scope="module")
def loaded(lake_stream: EmbeddedStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStack]:
    """Events sent and loaded, and the end point started after that."""
    pipeline.generate(lake_stream, tmp_path_factory.mktemp("ledger") / "ledger", "--count", "1000", "--malformed", "0.02", "--seed", "9")
    pipeline.wait_in_lake(lake_stream)
    pipeline.load(lake_stream)
    lake_stream.stop("metrics")
    lake_stream.start(["metrics"])
    yield lake_stream
    lake_stream.stop("metrics")


def scrape() -> Scrape:
    """One scrape over HTTP, by (series, labels)."""
    answer = requests.get(f"http://{LOOPBACK}:{settings().metrics.port}/metrics", timeout=20)
    answer.raise_for_status()
    families = text_string_to_metric_families(answer.text)
    return {(sample.name, frozenset(sample.labels.items())): sample.value for family in families for sample in family.samples}


def of(found: Scrape, name: str, **labels: str) -> float | None:
    return found.get((name, frozenset(labels.items())))


def audited() -> Scrape:
    """A scrape after the first check of the books has ended."""
    return wait_for("a check of the books", lambda: found if of(found := scrape(), "loglake_books_balanced") is not None else None, 60)


def test_values_are_those_of_the_books(loaded: EmbeddedStack) -> None:
    books, found = pipeline.books(loaded), audited()

    assert {service: of(found, "loglake_up", service=service) for service in UP} == dict.fromkeys(UP, 1)
    for number, bounds in books["kafka"].items():
        assert of(found, "loglake_kafka_records_total", topic=books["topic"], partition=number) == bounds["end"]
        assert of(found, "loglake_kafka_lag_records", topic=books["topic"], partition=number) == 0
    assert of(found, "loglake_lake_rows") == pipeline.in_lake(books)
    assert of(found, "loglake_load_backlog_rows") == 0
    assert of(found, "loglake_load_read_rows_total") == books["loaded"]["rows_read"]
    for outcome in ("inserted", "duplicate", "rejected"):
        assert of(found, "loglake_load_rows_total", outcome=outcome) == books["loaded"][f"rows_{outcome}"]
    assert of(found, "loglake_load_duration_seconds_count") == books["loaded"]["loads"]
    assert of(found, "loglake_books_balanced") == 1
    assert of(found, "loglake_books_rows", stage="log_events") == books["raw_events"]
    assert sum(value for (name, _), value in found.items() if name == "loglake_rejected_rows") == books["raw_rejected"]


def test_the_stream_and_the_stores_are_measured(loaded: EmbeddedStack) -> None:
    found = audited()

    assert of(found, "loglake_stream_records_total") == pipeline.scalar("select sum(rows_read) from ops.stream_progress")
    assert of(found, "loglake_stream_batch_duration_seconds_count") == pipeline.scalar("select count(*) from ops.stream_progress")
    assert 0 < (of(found, "loglake_lake_size_bytes") or 0) < (of(found, "loglake_hdfs_used_bytes") or 0)
    assert of(found, "loglake_hdfs_live_datanodes") == of(found, "loglake_spark_workers") == 1
    assert (of(found, "loglake_warehouse_table_size_bytes", schema="raw", table="log_events") or 0) > 100_000
    assert (of(found, "process_resident_memory_bytes") or 0) < _MOST_MIB * 1024 * 1024


def test_what_the_monitor_asks_for_is_what_the_servers_say(loaded: EmbeddedStack) -> None:
    books = pipeline.books(loaded)
    audited()
    found = seen.ask(datetime.now(UTC))

    assert found.reasons.keys() <= {"airflow"}, found.reasons  # which the tests of this session may not have started
    assert found.rules
    assert {status.name: status.ok for status in found.rules.services} == dict.fromkeys(health.QUESTIONS, True)
    assert found.kafka
    assert {str(number): bounds.end for number, bounds in found.kafka.items()} == {
        number: bounds["end"] for number, bounds in books["kafka"].items()
    }
    assert found.lake
    assert (found.lake.rows, found.lake.backlog) == (pipeline.in_lake(books), 0)
    assert found.hdfs
    assert found.hdfs["loglake_hdfs_live_datanodes"] == 1
    assert found.audit
    assert (found.audit.findings, found.audit.rows["log_events"]) == ((), books["raw_events"])


def test_every_panel_of_the_dashboard_finds_its_metrics(loaded: EmbeddedStack) -> None:
    found = {name for name, _ in audited()}
    lacking = {name for expression in expressions() for name in metric_names(expression)} - found

    # Airflow may not have been started by the tests of this session.
    assert {name for name in lacking if not name.startswith(("loglake_airflow_", "loglake_dag_"))} == set()


def test_a_row_that_no_load_wrote_unbalances_the_check(loaded: EmbeddedStack) -> None:
    assert audit.check()["findings"] == []
    with clients.postgres("loader") as connection:
        connection.execute(
            'insert into raw.rejected_events (topic, partition, "offset", kafka_timestamp, ingested_at, reject_reason, load_id) '
            "values ('nobody', 0, 0, now(), now(), 'not_json: by hand', 1)"
        )
        try:
            (finding,) = audit.check()["findings"]
        finally:
            connection.execute("delete from raw.rejected_events where topic = 'nobody'")

    assert finding.startswith("raw: ")


def test_a_stopped_broker_is_0_and_the_rest_is_still_told(loaded: EmbeddedStack) -> None:
    loaded.stop("kafka")
    try:
        found = wait_for(
            "the end point to miss Kafka", lambda: found if of(found := scrape(), "loglake_up", service="kafka") == 0 else None, 30
        )
    finally:
        loaded.start(("kafka", "lake-stream"))

    assert of(found, "loglake_up", service="postgres") == 1
    assert of(found, "loglake_load_read_rows_total") is not None
    assert not [name for name, _ in found if name.startswith("loglake_kafka_")]
    wait_for("the end point to find Kafka again", lambda: of(scrape(), "loglake_up", service="kafka") == 1, 30)


def test_lines_of_the_stream_and_the_end_point_have_one_format_and_their_ids(loaded: EmbeddedStack) -> None:
    written = (loaded.runtime / "logs" / "lake-stream.log").read_text()
    batches = [line for line in written.splitlines() if " batch_id=" in line]

    assert batches
    assert all(line.startswith("ts=") and " level=INFO logger=consumers.lake_stream event=" in line for line in batches)
    assert all(" query_id=" in line and " run_id=" in line for line in batches)
    started = f'event="serving http://{LOOPBACK}:{settings().metrics.port}/metrics"'
    assert started in (loaded.runtime / "logs" / "metrics.log").read_text()
    servers = (("kafka", "Kafka Server started"), ("namenode", "NameNode RPC up at"), ("spark-master", "New state: ALIVE"))
    for server, said in servers:
        lines = [line for line in (loaded.runtime / "logs" / f"{server}.log").read_text().splitlines() if said in line]
        assert lines
        assert all(line.startswith("ts=") and " event=" in line for line in lines), lines
