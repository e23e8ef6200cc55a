"""Lineage: the names of datasets, the columns a query is made of, and the events of the stream and of a load, by OpenLineage's schema."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from openlineage.client.event_v2 import RunEvent
from openlineage.client.serde import Serde

from loglake.lineage import columns, datasets, load, stream
from loglake.lineage.columns import Source
from loglake.settings import settings
from tests import openlineage

pytestmark = pytest.mark.unit

BEGAN, ENDED = datetime(2026, 1, 1, 12, 0, tzinfo=UTC), datetime(2026, 1, 1, 12, 1, tzinfo=UTC)
RUN = "0197e0a0-0000-7000-8000-000000000000"
PARENT = f"loglake/loglake_batch.load/{RUN},loglake/loglake_batch/0197e0a0-0000-7000-8000-000000000001"
RESULT = {"load_id": 3, "snapshot_to": 12, "rows_read": 5, "files_read": 2, "rows_inserted": 3, "rows_duplicate": 1, "rows_rejected": 1}
CATALOGUE = {
    "staging": {"orders": {"order_id": "text", "amount": "numeric", "load_id": "bigint"}, "users": {"user_id": "text", "order_id": "text"}},
    "raw": {"log_events": {"event_id": "uuid", "order_items": "jsonb"}},
}


def sent(events: Sequence[RunEvent]) -> list[dict[str, Any]]:
    """The events as they go over the line, each of which must be valid."""
    found = [json.loads(Serde.to_json(event)) for event in events]
    for event in found:
        assert openlineage.errors(event) == []
    return found


def states(events: Sequence[RunEvent]) -> list[str]:
    return [event["eventType"] for event in sent(events)]


def test_datasets_are_named_as_the_specification_says() -> None:
    names = [(data.namespace, data.name) for data in (datasets.topic(), datasets.lake(), datasets.relation("raw", "log_events"))]
    config = settings()
    assert names == [
        (f"kafka://127.0.0.1:{config.kafka.port}", "LogEvents"),
        (f"hdfs://127.0.0.1:{config.hdfs.namenode_port}", "/lake/bronze/log_events"),
        (f"postgres://127.0.0.1:{config.postgres.port}", "loglake.raw.log_events"),
    ]


def test_the_validator_finds_what_is_wrong() -> None:
    (event, _) = [json.loads(Serde.to_json(one)) for one in load.done(RESULT, BEGAN, ENDED, PARENT)]
    del event["run"]["facets"]["parent"]["run"]["runId"]
    event["job"]["name"] = None
    found = openlineage.errors(event)
    assert len(found) == 2
    assert any("runId" in one for one in found)
    assert any("job/name" in one for one in found)


@pytest.mark.parametrize(
    ("query", "column", "sources"),
    [
        ("select * from loglake.staging.orders", "amount", ["staging.orders.amount"]),
        ("with a as (select order_id as o from loglake.staging.orders) select upper(o) as x from a", "x", ["staging.orders.order_id"]),
        ("select count(*) as n from loglake.staging.orders", "n", []),
        (
            "select order_id from loglake.staging.orders union all select order_id from loglake.staging.users",
            "order_id",
            ["staging.orders.order_id", "staging.users.order_id"],
        ),
        (
            "select line.item ->> 'q' as q from loglake.raw.log_events as s cross join lateral jsonb_array_elements(s.order_items) "
            "with ordinality as line (item, number)",
            "q",
            ["raw.log_events.order_items"],
        ),
        (
            "with t as (select order_id from loglake.staging.users) select h.* from t cross join lateral "
            "(select o.* from loglake.staging.orders as o where o.order_id = t.order_id offset 0) as h",
            "amount",
            ["staging.orders.amount"],
        ),
        (
            "select coalesce(u.user_id, o.order_id) as k from loglake.staging.orders as o "
            "left join loglake.staging.users as u on u.order_id = o.order_id",
            "k",
            ["staging.orders.order_id", "staging.users.user_id"],
        ),
    ],
)
def test_a_column_is_followed_to_the_relations(query: str, column: str, sources: list[str]) -> None:
    found = columns.of_query(query, CATALOGUE, "loglake")
    assert found[column] == tuple(Source(*one.split(".")) for one in sources)


def test_a_load_tells_what_it_read_and_wrote() -> None:
    start, complete = sent(load.done(RESULT, BEGAN, ENDED, PARENT))
    assert (start["eventType"], start["eventTime"]) == ("START", "2026-01-01T12:00:00+00:00")
    assert (complete["eventType"], complete["eventTime"]) == ("COMPLETE", "2026-01-01T12:01:00+00:00")
    assert start["run"]["runId"] == complete["run"]["runId"]
    (lake,) = complete["inputs"]
    assert lake["facets"]["version"]["datasetVersion"] == "12"
    assert lake["facets"]["symlinks"]["identifiers"][0]["name"] == "bronze.log_events"
    assert lake["inputFacets"]["inputStatistics"]["rowCount"] == 5
    written = {one["name"]: one["outputFacets"]["outputStatistics"]["rowCount"] for one in complete["outputs"]}
    assert written == {"loglake.raw.log_events": 3, "loglake.raw.rejected_events": 1}
    made = complete["outputs"][0]["facets"]["columnLineage"]["fields"]["order_items"]["inputFields"]
    assert [(one["name"], one["field"]) for one in made] == [("/lake/bronze/log_events", "order_items")]


def test_a_load_is_part_of_its_task_and_of_the_dag_run() -> None:
    (start, _) = sent(load.done(RESULT, BEGAN, ENDED, PARENT))
    parent = start["run"]["facets"]["parent"]
    assert (parent["job"]["name"], parent["run"]["runId"]) == ("loglake_batch.load", RUN)
    assert parent["root"]["job"]["name"] == "loglake_batch"
    assert "parent" not in sent(load.done(RESULT, BEGAN, ENDED, ""))[0]["run"]["facets"]


def test_a_load_with_nothing_new_tells_nothing() -> None:
    assert load.done({**RESULT, "load_id": None}, BEGAN, ENDED, "") == []


def test_a_failed_load_says_why() -> None:
    (_, fail) = sent(load.failed("the range has expired", BEGAN, ENDED, ""))
    assert (fail["eventType"], fail["outputs"]) == ("FAIL", [])
    assert fail["run"]["facets"]["errorMessage"]["message"] == "the range has expired"


def test_the_stream_tells_its_start_and_end_and_not_each_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    run = stream.StreamRun(RUN)
    assert states(run.start()) == ["START"]
    run.wrote(100)
    assert run.running() == []
    monkeypatch.setattr(stream, "RUNNING_SECONDS", 0.0)
    run.wrote(20)
    (running,) = sent(run.running())
    assert running["eventType"] == "RUNNING"
    assert running["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"] == 120
    assert run.running() == []
    assert states(run.end()) == ["COMPLETE"]
    assert states(run.end("no broker")) == ["FAIL"]


def test_a_column_of_the_lake_is_a_field_of_the_topic() -> None:
    (start,) = sent(stream.StreamRun(RUN).start())
    (lake,) = start["outputs"]
    made = lake["facets"]["columnLineage"]["fields"]
    assert made["user_city"]["inputFields"][0]["field"] == "user.city"
    assert made["event_id"]["inputFields"][0]["field"] == "event_id"
    assert {field["name"] for field in start["inputs"][0]["facets"]["schema"]["fields"]} >= {"user.city", "order.items"}
