"""From the generator to the marts on real servers: every number equals the producer's ledger."""

import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from loglake import lake
from producers import ledger
from tests import pipeline
from tests.stackfixture import EmbeddedStack

pytestmark = pytest.mark.integration

_LAG = "select lag from ops.stream_heartbeat where stream = 'lake'"
FLAWS = ("--late", "0.02", "--resent", "0.02", "--malformed", "0.01", "--unknown-version", "0.001")
_CONTENT = {
    "raw.log_events": "select count(*), md5(string_agg(event_id::text || load_id, ',' order by event_id)) from raw.log_events",
    "raw.rejected_events": "select count(*), md5(string_agg(partition || ':' || \"offset\", ',' order by partition, \"offset\")) "
    "from raw.rejected_events",
    "ops.load_manifest": "select count(*), max(load_id)::text from ops.load_manifest",
    **{
        f"marts.{name}": f"select count(*), md5(string_agg(m::text || m.xmin, ',' order by m::text)) from marts.{name} as m"
        for name in (
            "dim_users",
            "dim_product",
            "dim_date",
            "fact_event",
            "fact_order",
            "fct_session",
            "fct_user_day",
            "fct_product_day",
            "product_description",
        )
    },
    "snapshots.cdc_product": "select count(*), md5(string_agg(m::text || m.xmin, ',' order by m::text)) from snapshots.cdc_product as m",
}


@dataclass(frozen=True)
class RunThrough:
    """What was sent, the books before and after, the one load, and how many rows the stream reported in between."""

    truth: ledger.Truth
    before: dict[str, Any]
    after: dict[str, Any]
    load: dict[str, Any]
    reported: int


@pytest.fixture(scope="module")
def done(lake_stream: EmbeddedStack, tmp_path_factory: pytest.TempPathFactory) -> RunThrough:
    """100,000 events with flaws sent, loaded and modelled."""
    path = tmp_path_factory.mktemp("ledger") / "ledger.ndjson"
    pipeline.wait_in_lake(lake_stream)
    pipeline.load(lake_stream)
    before, reported = pipeline.books(lake_stream), progress()
    truth = pipeline.generate(lake_stream, path, "--count", "100000", "--seed", "11", *FLAWS)
    pipeline.wait_in_lake(lake_stream)
    loaded = pipeline.load(lake_stream)
    pipeline.run(lake_stream, "model")
    return RunThrough(truth, before, pipeline.books(lake_stream), loaded, progress() - reported)


def progress() -> int:
    """The rows that the stream says it has brought to the lake; its report of a batch comes after the batch."""
    pipeline.wait_for("the stream to report that it waits", lambda: pipeline.scalar(_LAG) == 0)
    return int(pipeline.scalar("select coalesce(sum(rows_read), 0) from ops.stream_progress"))


def test_the_books_balance_and_every_record_is_in_the_lake_once(done: RunThrough) -> None:
    assert done.after["balanced"], done.after["findings"]
    assert done.after["notes"] == []
    pipeline.exactly_once(done.after)


def test_each_stage_equals_the_ledger(done: RunThrough) -> None:
    truth, before, after, load = done.truth, done.before, done.after, done.load
    assert truth.not_sent == 0
    assert truth.duplicates > 1500
    assert truth.rejected > 900
    assert after["lake"]["rejected"] - before["lake"]["rejected"] == truth.rejected
    assert after["lake"]["good"] - before["lake"]["good"] == truth.events + truth.duplicates
    assert done.reported == load["rows_read"] == truth.acknowledged
    assert load["rows_inserted"] == truth.events
    assert load["rows_duplicate"] == truth.duplicates
    assert load["rows_rejected"] == truth.rejected


def test_each_rejected_record_has_the_reason_its_flaw_deserves(done: RunThrough) -> None:
    found = dict(
        pipeline.query(
            "select split_part(reject_reason, ':', 1), count(*) from raw.rejected_events where load_id = %s group by 1",
            done.load["load_id"],
        )
    )
    wanted: Counter[str] = Counter()
    for label, number in done.truth.by_label.items():
        if label.startswith("malformed:"):
            wanted[label.removeprefix("malformed:")] += number
        elif label == "unknown_version":
            wanted[label] += number
    assert found == dict(wanted)


def test_the_marts_equal_the_ledger(done: RunThrough) -> None:
    truth, load_id = done.truth, done.load["load_id"]
    by_type = pipeline.query("select event_type, count(*) from marts.fact_event where load_id = %s group by 1", load_id)
    assert dict(by_type) == truth.by_type
    assert pipeline.scalar("select sum(amount) from marts.fact_order where load_id = %s and status = 'refunded'", load_id) == truth.refunded
    completed = "select sum(order_amount) from raw.log_events where load_id = %s and event_type = 'order_complete_response'"
    assert pipeline.scalar(completed, load_id) == truth.revenue
    users = "select count(distinct user_id) from marts.fact_event join marts.dim_users using (user_sk) where fact_event.load_id = %s"
    assert pipeline.scalar(users, load_id) == truth.users


@pytest.mark.usefixtures("done")
def test_an_order_in_the_marts_has_its_last_status_and_its_money() -> None:
    told = """
        with last as (
            select distinct on (order_id) order_status as status, order_amount as amount
            from raw.log_events where order_id is not null
            order by order_id, array_position(array['requested', 'payment_failed', 'completed', 'refunded'], order_status) desc,
                     event_ts desc, event_id desc
        )
        select status, sum(amount) from last group by status
    """
    held = dict(pipeline.query("select status, sum(amount) from marts.fact_order group by status"))
    assert held == dict(pipeline.query(told))
    assert held.keys() >= {"payment_failed", "completed", "refunded"}


@pytest.mark.usefixtures("done")
def test_running_again_with_nothing_new_changes_no_row(lake_stream: EmbeddedStack) -> None:
    before = {name: pipeline.query(statement, role="postgres") for name, statement in _CONTENT.items()}
    again = pipeline.load(lake_stream)
    assert again["load_id"] is None
    assert "nothing new" in again["note"]
    pipeline.run(lake_stream, "model")
    assert {name: pipeline.query(statement, role="postgres") for name, statement in _CONTENT.items()} == before


@pytest.mark.usefixtures("done")
def test_a_full_load_after_lost_history_changes_no_row_and_balances(lake_stream: EmbeddedStack) -> None:
    before = pipeline.query(_CONTENT["raw.log_events"], role="postgres")
    result = json.loads(pipeline.run(lake_stream, "load", "--full", "--json").splitlines()[-1])
    assert (result["rows_inserted"], result["rows_rejected"]) == (0, 0)
    assert result["rows_duplicate"] == result["rows_read"] > 100_000
    assert pipeline.query(_CONTENT["raw.log_events"], role="postgres") == before
    books = pipeline.books(lake_stream)
    assert books["balanced"], books["findings"]


@pytest.mark.usefixtures("done")
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


@pytest.mark.usefixtures("done")
def test_the_models_documentation_is_one_page_that_needs_no_internet(lake_stream: EmbeddedStack, tmp_path: Path) -> None:
    page = tmp_path / "deep" / "models.html"
    assert str(page) in pipeline.run(lake_stream, "docs", "--output", str(page))
    text = page.read_text()
    assert "One row per session, right also when its events come in different loads" in text
    assert '"schema": "marts", "name": "fct_session"' in text
    assert re.findall(r'(?:src|href)="https?://(?!\[::1])', text) == []
