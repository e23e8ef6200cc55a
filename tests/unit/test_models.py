"""The dbt project against the contract and the design, and how dbt's results are read."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from loglake import events, reference
from loglake.cli.model import dbt_arguments
from loglake.errors import BadInputError
from loglake.models import DBT_PROJECT, FULL_TESTS, SNAPSHOT, dbt_environment, read_results
from loglake.settings import settings
from loglake.shadow import SNAPSHOT as SHADOW_SNAPSHOT

pytestmark = pytest.mark.unit

#: Names and order that Power BI users rely on (the design's "The warehouse"); technical columns may follow.
STAR = {
    "fact_order": "order_sk user_sk product_sk date_sk quantity amount payment_method status",
    "fact_event": "event_sk user_sk product_sk date_sk event_type session_id device_type geo_country geo_city",
    "dim_users": "user_sk user_id username email sex age country city source",
    "dim_product": "product_sk product_id product_name category subcategory brand description price stock rating source",
    "dim_date": "date_sk timestamp year month day week quarter",
}


@pytest.fixture
def password(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("LOGLAKE_POSTGRES_DBT_PASSWORD", "known-to-the-test")
    settings.cache_clear()
    yield "known-to-the-test"
    settings.cache_clear()


MARTS = DBT_PROJECT / "models" / "marts"


def models() -> dict[str, dict[str, Any]]:
    documents = [yaml.safe_load(path.read_text()) for path in sorted(MARTS.rglob("*.yml"))]
    return {model["name"]: model for document in documents for model in document.get("models", ())}


#: Marts that are views over others, and hold nothing themselves.
VIEWS = {path.stem for path in (MARTS / "reports").glob("*.sql")}


def column(model: str, name: str) -> dict[str, Any]:
    return next(column for column in models()[model]["columns"] if column["name"] == name)


def accepted_values(model: str, name: str) -> set[str]:
    tests = column(model, name)["data_tests"]
    return {value for test in tests if "accepted_values" in test for value in test["accepted_values"]["arguments"]["values"]}


@pytest.mark.parametrize(("model", "names"), STAR.items())
def test_a_mart_has_the_columns_of_the_design_first(model: str, names: str) -> None:
    columns = [column["name"] for column in models()[model]["columns"]]

    assert columns[: len(names.split())] == names.split()


def test_every_mart_says_its_grain_and_reads_only_new_loads() -> None:
    queries = {path.stem: path.read_text() for path in sorted(MARTS.rglob("*.sql"), key=lambda path: path.stem)}

    assert queries.keys() == models().keys() >= STAR.keys()
    assert [name for name, text in queries.items() if not text.startswith("-- Grain: ")] == []
    assert [name for name, text in queries.items() if "{{ is_new() }}" not in text] == sorted(VIEWS)


@pytest.mark.parametrize("model", models())
def test_every_column_has_a_type_and_a_description(model: str) -> None:
    assert [column["name"] for column in models()[model]["columns"] if not (column.get("data_type") and column.get("description"))] == []


@pytest.mark.parametrize("model", sorted(models().keys() - VIEWS))
def test_the_first_column_is_the_primary_key(model: str) -> None:
    assert {"type": "primary_key"} in models()[model]["columns"][0]["constraints"]


def test_accepted_values_are_those_of_the_contract() -> None:
    assert accepted_values("fact_event", "event_type") == set(get_args(events.EventType))
    assert accepted_values("fact_order", "status") == set(get_args(events.OrderStatus))
    assert accepted_values("dim_users", "sex") == set(get_args(events.Sex))


def test_order_events_and_their_statuses_are_those_of_the_contract() -> None:
    macros = (DBT_PROJECT / "macros/order_status.sql").read_text()
    types = macros.split("macro order_event_types")[1].split("endmacro")[0]
    ranks = macros.split("macro order_status_rank")[1].split("endmacro")[0]

    statuses = [events.STATUS_OF[name] for name in re.findall(r"'(\w+)'", types)]

    assert statuses == re.findall(r"'(\w+)'", ranks) == ["requested", "payment_failed", "completed", "refunded"]
    assert len(statuses) == len(events.STATUS_OF)


def test_the_host_in_an_address_is_the_same_for_dbt_and_the_reference_data() -> None:
    assert f"from '{reference.HOST}')), {reference.HOST_MAX})" in (DBT_PROJECT / "macros/web.sql").read_text()


def test_the_profile_gets_every_variable_it_reads(password: str) -> None:
    wanted = set(re.findall(r"env_var\('(\w+)'\)", (DBT_PROJECT / "profiles.yml").read_text()))

    environment = dbt_environment("another_database")

    assert wanted <= environment.keys()
    assert environment["DBT_ENV_SECRET_LOGLAKE_PASSWORD"] == password
    assert environment["LOGLAKE_DBT_DATABASE"] == "another_database"
    assert Path(environment["DBT_TARGET_PATH"]).is_relative_to(settings().runtime.runtime_dir)
    assert Path(environment["DBT_LOG_PATH"]).is_relative_to(settings().runtime.runtime_dir)


def test_nothing_here_shadows_the_dbt_package() -> None:
    assert list(DBT_PROJECT.rglob("__init__.py")) == []
    assert [path for path in DBT_PROJECT.parent.glob("*/dbt*.py") if path.parent.name != ".venv"] == []


def result(unique_id: str, **changes: Any) -> dict[str, Any]:
    return {
        "unique_id": unique_id,
        "status": "success",
        "execution_time": 1.5,
        "adapter_response": {},
        "message": None,
        "failures": None,
        **changes,
    }


def test_results_give_rows_of_models_and_failing_rows_of_tests() -> None:
    document = {
        "elapsed_time": 4.0,
        "results": [
            result("model.loglake.stg_event", adapter_response={"rows_affected": -1}),
            result("model.loglake.fact_event", adapter_response={"rows_affected": 7}),
            result("test.loglake.not_null_dim_users_source.0a1b2c", status="fail", failures=2, message="Got 2 results,\n not none"),
            result("test.loglake.orders_add_up", status="warn", failures=1),
            result("snapshot.loglake.cdc_product", status="skipped"),
        ],
    }

    run = read_results(document)

    assert [(node.kind, node.name, node.rows) for node in run.nodes] == [
        ("model", "stg_event", None),
        ("model", "fact_event", 7),
        ("test", "not_null_dim_users_source", 2),
        ("test", "orders_add_up", 1),
        ("snapshot", "cdc_product", None),
    ]
    assert [node.name for node in run.nodes if node.failed] == ["not_null_dim_users_source"]
    assert run.nodes[2].message == "Got 2 results, not none"
    assert run.facts == {"models": 2, "snapshots": 0, "rows": 7, "tests_passed": 0, "tests_warned": 1, "dbt_seconds": 4.0}
    assert run.note == "models built: 2, snapshots: 0, rows written: 7; tests passed: 0, warned: 1; dbt took 4.0 s"


def test_options_become_a_dbt_command() -> None:
    none = {"snapshot_only": False, "full_refresh": False, "full_tests": False, "select": ""}

    assert dbt_arguments(**none) == ["build"]
    assert dbt_arguments(**{**none, "snapshot_only": True}) == SNAPSHOT
    assert dbt_arguments(**{**none, "full_refresh": True}) == ["build", "--full-refresh"]
    assert dbt_arguments(**{**none, "full_tests": True}) == FULL_TESTS
    assert dbt_arguments(**{**none, "select": "fact_order+ dim_date"})[:4] == ["build", "--select", "fact_order+", "dim_date"]


@pytest.mark.parametrize("clash", [{"snapshot_only": True, "full_refresh": True}, {"full_tests": True, "select": "fact_order"}])
def test_options_that_contradict_each_other_are_refused(clash: dict[str, Any]) -> None:
    options = {"snapshot_only": False, "full_refresh": False, "full_tests": False, "select": "", **clash}

    with pytest.raises(BadInputError, match="--"):
        dbt_arguments(**options)


def test_no_query_names_a_schema_itself() -> None:
    """`loglake rebuild` builds in schemas of other names: all names come from ref, source and schema_named."""
    named = re.compile(r"\b(raw|ops|staging|snapshots|marts|restricted)\.\w+")
    for path in DBT_PROJECT.rglob("*.sql"):
        text = re.sub(r"\{#.*?#\}|--[^\n]*", "", path.read_text(), flags=re.DOTALL)
        assert named.search(text) is None, f"{path.name}: {named.search(text)}"


def test_a_rebuild_takes_every_snapshot_along() -> None:
    documents = [yaml.safe_load(path.read_text()) for path in (DBT_PROJECT / "snapshots").glob("*.yml")]
    assert [snapshot["name"] for document in documents for snapshot in document["snapshots"]] == [SHADOW_SNAPSHOT]
