"""Rules for dbt projects (dbt's project evaluator, as far as decision 0014 takes them) held against the manifest."""

import re
from pathlib import PurePath
from typing import Any

import pytest

pytestmark = pytest.mark.unit

#: Models that only rename what they read.
PLAIN = {"stg_event", "stg_country", "stg_domain", "stg_holiday", "stg_user_agent"}
#: Models with logic that dbt's unit tests cannot hold, and what tests them instead.
TESTED_ELSEWHERE = {
    "dim_calendar": "its rows depend on the clock: test_time_zones, test_behaviour",
    "stg_product_changes": "a part of the snapshot, for which dbt gives no `this` in a unit test: test_models",
}
#: A part of the snapshot, and no layer of its own.
STAGING_THAT_READS_STAGING = {"stg_product_changes"}
SCHEMAS = r"(raw|ops|staging|snapshots|marts|restricted)"
MOST_PARENTS = 6
LONGEST_CHAIN_OF_VIEWS = 3


@pytest.fixture(scope="module")
def models(manifest: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {node["name"]: node for node in manifest["nodes"].values() if node["resource_type"] == "model"}


@pytest.fixture(scope="module")
def sources(manifest: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {key: source for key, source in manifest["sources"].items() if source["package_name"] == "loglake"}


def folder(node: dict[str, Any]) -> str:
    return PurePath(node["original_file_path"]).parts[1]


def parents(node: dict[str, Any]) -> list[str]:
    return list(node["depends_on"]["nodes"])


def test_everything_is_described(models: dict[str, Any], sources: dict[str, Any]) -> None:
    assert [name for name, node in models.items() if not node["description"]] == []
    assert [key for key, source in sources.items() if not (source["description"] and source["source_description"])] == []
    lacking = {name: [column["name"] for column in node["columns"].values() if not column["description"]] for name, node in models.items()}
    assert {name: columns for name, columns in lacking.items() if columns} == {}


def test_what_others_read_has_a_contract(models: dict[str, Any]) -> None:
    read_by_others = [name for name, node in models.items() if folder(node) in ("marts", "restricted")]

    assert len(read_by_others) > 20
    assert [name for name in read_by_others if not models[name]["config"]["contract"]["enforced"]] == []


def test_a_mart_is_a_table_with_a_key_or_a_view_whose_grain_is_tested(manifest: dict[str, Any], models: dict[str, Any]) -> None:
    views = {node["unique_id"] for node in models.values() if folder(node) != "staging" and node["config"]["materialized"] == "view"}
    tables = [node for node in models.values() if node["config"]["materialized"] == "incremental"]
    keys = {
        node["name"]: [
            column["name"] for column in node["columns"].values() if {"primary_key"} & {limit["type"] for limit in column["constraints"]}
        ]
        for node in tables
    }

    assert [name for name, key in keys.items() if len(key) != 1] == []
    assert views - set(parents(manifest["nodes"]["test.loglake.views_keep_their_grain"])) == set()


def test_layers_read_the_layer_below(manifest: dict[str, Any], models: dict[str, Any]) -> None:
    read = {(name, parent) for name, node in models.items() for parent in parents(node)}
    staging = {node["unique_id"] for node in models.values() if folder(node) == "staging"}

    assert [pair for pair in read if pair[1].startswith("source.") and folder(models[pair[0]]) != "staging"] == []
    upwards = {name for name, parent in read if folder(models[name]) == "staging" and not parent.startswith("source.")}
    assert upwards == STAGING_THAT_READS_STAGING
    assert {parent for name, parent in read if name in upwards} <= staging
    snapshots = [node for node in manifest["nodes"].values() if node["resource_type"] == "snapshot"]
    assert [node["name"] for node in snapshots if not set(parents(node)) <= staging] == []


def test_each_model_reads_something_through_ref_or_source_and_not_too_much(models: dict[str, Any]) -> None:
    hard_coded = re.compile(rf"\b(from|join)\s+\"?{SCHEMAS}\"?\.", re.IGNORECASE)

    assert [name for name, node in models.items() if not parents(node)] == []
    assert [name for name, node in models.items() if len(set(parents(node))) > MOST_PARENTS] == []
    assert [name for name, node in models.items() if hard_coded.search(node["raw_code"])] == []


def test_each_source_is_fresh_used_and_declared_once(manifest: dict[str, Any], sources: dict[str, Any]) -> None:
    macros = [macro["macro_sql"] for macro in manifest["macros"].values() if macro["package_name"] == "loglake"]
    read = {parent for node in manifest["nodes"].values() for parent in parents(node)}
    read |= {key for key, source in sources.items() if any(f"source('raw', '{source['name']}')" in text for text in macros)}

    assert [key for key, source in sources.items() if not (source["freshness"] or {}).get("error_after", {}).get("count")] == []
    assert sources.keys() - read == set()
    assert len({(source["schema"], source["identifier"]) for source in sources.values()}) == len(sources)


def test_names_and_folders_tell_the_layer(models: dict[str, Any]) -> None:
    assert [name for name, node in models.items() if name.startswith("stg_") is not (folder(node) == "staging")] == []
    assert [name for name, node in models.items() if node["config"]["schema"] != folder(node)] == []
    described_in = {name: PurePath(node["patch_path"].split("://")[1]).parent for name, node in models.items()}
    assert [name for name, node in models.items() if described_in[name] != PurePath(node["original_file_path"]).parent] == []


def test_views_on_views_do_not_pile_up(models: dict[str, Any]) -> None:
    by_id = {node["unique_id"]: node for node in models.values()}

    def chain(key: str) -> int:
        node = by_id.get(key)
        if node is None or node["config"]["materialized"] != "view":
            return 0
        return 1 + max(map(chain, parents(node)), default=0)

    assert {name: depth for name, node in models.items() if (depth := chain(node["unique_id"])) > LONGEST_CHAIN_OF_VIEWS} == {}


def test_what_is_shown_outside_is_a_mart(manifest: dict[str, Any], models: dict[str, Any]) -> None:
    marts = {node["unique_id"] for node in models.values() if folder(node) == "marts"}

    assert manifest["exposures"]
    assert {key: set(parents(exposure)) - marts for key, exposure in manifest["exposures"].items() if set(parents(exposure)) - marts} == {}


def test_every_model_with_logic_has_a_unit_test(manifest: dict[str, Any], models: dict[str, Any]) -> None:
    tested = {test["model"] for test in manifest["unit_tests"].values()}

    assert models.keys() - tested == PLAIN | TESTED_ELSEWHERE.keys()
