"""What dbt's run tells of the marts: made from its own files and the warehouse's columns, on models that were really built."""

import json
from pathlib import Path
from typing import Any

import pytest
from openlineage.client.serde import Serde

from loglake import models
from loglake.lineage import models as lineage
from loglake.lineage.events import Parent
from tests import openlineage

pytestmark = pytest.mark.integration

RUN = "0197e0a0-0000-7000-8000-000000000000"
#: Columns that count rows, and so are made of none.
COUNTS = {
    "conversion_funnel.sessions",
    "error_analysis.affected_sessions",
    "error_analysis.errors",
    "fct_session.events",
    "fct_user_day.event_count",
    "hourly_clients.events",
    "hourly_product_views.views",
    "search_terms.searches",
    "store_performance.sessions",
    "traffic_sources.sessions",
    "weekly_retention.active_users",
}


def told(target: Path, database: str) -> list[dict[str, Any]]:
    parent = Parent.of(f"loglake/loglake_batch.dbt_run_task/{RUN},loglake/loglake_batch/{RUN}")
    return [json.loads(Serde.to_json(event)) for event in lineage.events(target, database, parent)]


@pytest.fixture(scope="module")
def events(sold: str) -> list[dict[str, Any]]:
    """The events of the build that made the shop's marts."""
    return told(models.target_dir(sold), sold)


def outputs(events: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for event in events for one in event["outputs"]}


def test_every_event_is_valid_and_each_job_starts_and_ends(events: list[dict[str, Any]]) -> None:
    assert {error for event in events for error in openlineage.errors(event)} == set()
    started, ended = ([event["run"]["runId"] for event in events if event["eventType"] == state] for state in ("START", "COMPLETE"))
    assert started == ended
    assert len(set(started)) == len(started) > 40
    assert {event["run"]["facets"]["parent"]["job"]["name"] for event in events} == {"loglake_batch.dbt_run_task"}


def test_every_column_of_every_mart_says_what_it_is_made_of(events: list[dict[str, Any]], sold: str) -> None:
    marts = {name: one["facets"] for name, one in outputs(events).items() if name.startswith(f"{sold}.marts.")}
    assert len(marts) > 25
    lacking = {
        f"{name.rpartition('.')[2]}.{field['name']}"
        for name, facets in marts.items()
        for field in facets["schema"]["fields"]
        if field["name"] not in facets["columnLineage"]["fields"]
    }
    assert lacking == COUNTS


def test_columns_come_from_where_the_sql_takes_them(events: list[dict[str, Any]], sold: str) -> None:
    def origins(mart: str, column: str) -> set[tuple[str, str]]:
        return {(name.removeprefix(f"{sold}."), field) for name, field in openlineage.origins(events, f"{sold}.marts.{mart}", column)}

    assert origins("fact_order", "amount") == {("raw.log_events", "order_items")}
    assert origins("dim_users", "email") == {("raw.log_events", "user_email")}
    assert origins("dim_product", "price") == {("raw.log_events", "product_price")}
    assert ("raw.log_events", "page_url") in origins("fct_session", "entry_page")


def test_a_model_names_its_inputs_its_rows_and_what_it_is_for(events: list[dict[str, Any]], sold: str) -> None:
    done = {event["job"]["name"]: event for event in events if event["eventType"] == "COMPLETE"}
    order = done["dbt.fact_order"]
    assert [one["name"] for one in order["inputs"]] == [f"{sold}.staging.stg_orders"]
    assert order["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"] > 0
    assert order["outputs"][0]["facets"]["documentation"]["description"]
    # an ephemeral model is a part of the snapshot: what it reads, the snapshot reads
    assert {one["name"] for one in done["dbt.cdc_product"]["inputs"]} == {f"{sold}.staging.stg_products"}


def test_a_build_that_wrote_no_row_tells_nothing(sold: str, tmp_path: Path) -> None:
    results = json.loads((models.target_dir(sold) / "run_results.json").read_text())
    for result in results["results"]:
        result["adapter_response"]["rows_affected"] = 0
    (tmp_path / "run_results.json").write_text(json.dumps(results))
    (tmp_path / "manifest.json").write_bytes((models.target_dir(sold) / "manifest.json").read_bytes())
    assert told(tmp_path, sold) == []
