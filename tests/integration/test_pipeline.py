"""From the generator to the marts on real servers: every number equals the producer's ledger."""

import json
from collections import Counter
from decimal import Decimal

import pytest

from loglake import lake
from producers import ledger
from tests import pipeline
from tests.stackfixture import EmbeddedStack

pytestmark = pytest.mark.integration

FLAWS = ("--late", "0.02", "--resent", "0.02", "--malformed", "0.01", "--unknown-version", "0.001")
_CONTENT = {
    "raw.log_events": "select count(*), md5(string_agg(event_id::text || load_id, ',' order by event_id)) from raw.log_events",
    "raw.rejected_events": "select count(*), md5(string_agg(partition || ':' || \"offset\", ',' order by partition, \"offset\")) "
    "from raw.rejected_events",
    "ops.load_manifest": "select count(*), max(load_id)::text from ops.load_manifest",
    **{
        f"marts.{name}": f"select count(*), md5(string_agg(m::text || m.xmin, ',' order by m::text)) from marts.{name} as m"
        for name in ("dim_users", "dim_product", "dim_date", "fact_event", "fact_order")
    },
    "snapshots.cdc_product": "select count(*), md5(string_agg(m::text || m.xmin, ',' order by m::text)) from snapshots.cdc_product as m",
}


@pytest.fixture(scope="module")
def run_through(lake_stream: EmbeddedStack, tmp_path_factory: pytest.TempPathFactory):
    """100,000 events with flaws sent, loaded and modelled; the ledger's truth, the books before and after, the load."""
    path = tmp_path_factory.mktemp("ledger") / "ledger.ndjson"
    pipeline.wait_in_lake(lake_stream)
    pipeline.load(lake_stream)
    before = pipeline.books(lake_stream)
    truth = pipeline.generate(lake_stream, path, "--count", "100000", "--seed", "11", *FLAWS)
    pipeline.wait_in_lake(lake_stream)
    loaded = pipeline.load(lake_stream)
    pipeline.run(lake_stream, "model")
    return truth, before, pipeline.books(lake_stream), loaded, path


def test_the_books_balance_and_every_record_is_in_the_lake_once(run_through):
    _, _, after, _, _ = run_through
    assert after["balanced"], after["findings"]
    assert after["notes"] == []
    pipeline.exactly_once(after)


def test_each_stage_equals_the_ledger(run_through):
    truth, before, after, loaded, _ = run_through
    assert truth.not_sent == 0
    assert truth.duplicates > 1500
    assert truth.rejected > 900
    assert after["lake"]["rejected"] - before["lake"]["rejected"] == truth.rejected
    assert after["lake"]["good"] - before["lake"]["good"] == truth.events + truth.duplicates
    assert loaded["rows_read"] == truth.acknowledged
    assert loaded["rows_inserted"] == truth.events
    assert loaded["rows_duplicate"] == truth.duplicates
    assert loaded["rows_rejected"] == truth.rejected


def test_each_rejected_record_has_the_reason_its_flaw_deserves(run_through):
    truth, _, _, loaded, _ = run_through
    found = dict(
        pipeline.query(
            "select split_part(reject_reason, ':', 1), count(*) from raw.rejected_events where load_id = %s group by 1", loaded["load_id"]
        )
    )
    wanted: Counter[str] = Counter()
    for label, number in truth.by_label.items():
        if label.startswith("malformed:"):
            wanted[label.removeprefix("malformed:")] += number
        elif label == "unknown_version":
            wanted[label] += number
    assert found == dict(wanted)


def test_the_marts_equal_the_ledger(run_through):
    truth, before, after, loaded, path = run_through
    by_type = dict(pipeline.query("select event_type, count(*) from raw.log_events where load_id = %s group by 1", loaded["load_id"]))
    assert by_type == truth.by_type
    assert after["marts"]["fact_event"] - (before["marts"]["fact_event"] or 0) == truth.events or before["marts"]["fact_event"] is None
    sent = {entry.event_id for entry in ledger.read(path) if entry.event_type == "order_complete_response" and entry.error is None}
    revenue = pipeline.scalar("select sum(order_amount) from raw.log_events where event_id = any(%s::uuid[])", list(sent))
    assert revenue == truth.revenue
    users = pipeline.scalar("select count(distinct user_id) from raw.log_events where load_id = %s", loaded["load_id"])
    assert users == truth.users


@pytest.mark.usefixtures("run_through")
def test_an_order_in_the_marts_has_its_last_status_and_its_money():
    ((orders, marts),) = pipeline.query(
        """
        with last as (
            select distinct on (order_id) order_id, order_amount
            from raw.log_events where order_id is not null
            order by order_id,
                     array_position(array['requested', 'payment_failed', 'completed', 'refunded'], order_status) desc, event_ts desc
        )
        select (select sum(order_amount) from last), (select sum(amount) from marts.fact_order)
        """
    )
    assert orders == marts
    assert marts > Decimal(0)


def test_running_again_with_nothing_new_changes_no_row(lake_stream, run_through):
    before = {name: pipeline.query(statement, role="postgres") for name, statement in _CONTENT.items()}
    again = pipeline.load(lake_stream)
    assert again["load_id"] is None
    assert "nothing new" in again["note"]
    pipeline.run(lake_stream, "model")
    assert {name: pipeline.query(statement, role="postgres") for name, statement in _CONTENT.items()} == before


def test_progress_of_the_stream_adds_up_to_the_lake(run_through):
    _, _, after, _, _ = run_through
    assert pipeline.scalar("select sum(rows_read)::bigint from ops.stream_progress") <= pipeline.in_lake(after)
    assert pipeline.scalar("select lag from ops.stream_heartbeat where stream = 'lake'") == 0


def test_a_full_load_after_lost_history_changes_no_row_and_balances(lake_stream, run_through):
    before = pipeline.query(_CONTENT["raw.log_events"], role="postgres")
    result = json.loads(pipeline.run(lake_stream, "load", "--full", "--json").splitlines()[-1])
    assert (result["rows_inserted"], result["rows_rejected"]) == (0, 0)
    assert result["rows_duplicate"] == result["rows_read"] > 100_000
    assert pipeline.query(_CONTENT["raw.log_events"], role="postgres") == before
    books = pipeline.books(lake_stream)
    assert books["balanced"], books["findings"]


@pytest.mark.usefixtures("run_through")
def test_a_large_data_file_is_counted_without_fetching_all_of_it(monkeypatch):
    bronze = lake.table()
    file = max(lake.data_files(bronze), key=lambda file: file.file_size_in_bytes)
    fetched: list[int] = []
    read = lake._Ranges.read
    monkeypatch.setattr(lake._Ranges, "read", lambda self, size=-1: fetched.append(size) or read(self, size))
    monkeypatch.setattr(lake, "_WHOLE_BYTES", file.file_size_in_bytes)
    whole = lake.read_columns(file, lake.COUNTED)
    assert fetched == []
    monkeypatch.setattr(lake, "_WHOLE_BYTES", 0)
    assert lake.read_columns(file, lake.COUNTED) == whole
    assert 0 < sum(fetched) < file.file_size_in_bytes / 2
