"""The semantic model of `bi/`: dbt's marts, and relationships and measures that name what is there."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from loglake.bi.measures import MEASURES
from loglake.bi.model import Relationship, Table
from loglake.bi.query import CALENDAR, DAYS, KEYS
from tests import tmdl

pytestmark = pytest.mark.unit
MODEL = "loglake.SemanticModel/definition"


def type_of(model: dict[str, tmdl.Node], column: str) -> str:
    table, _, name = column.partition(".")
    return model[table].of_kind("column")[name].properties["dataType"]


def test_the_model_has_the_marts_columns_and_nothing_else(
    model: dict[str, tmdl.Node], manifest: dict[str, Any], held: dict[str, str]
) -> None:
    nodes = {node["name"]: node for node in manifest["nodes"].values() if node["resource_type"] == "model"}

    assert {name for name in nodes if name.startswith(("dim_", "fact_", "fct_"))} <= model.keys()
    assert sorted(model) == tmdl.parse(held[f"{MODEL}/model.tmdl"])[1]
    for name, table in model.items():
        assert list(table.of_kind("column")) == list(nodes[name]["columns"])
        assert [column.properties["sourceColumn"] for column in table.of_kind("column").values()] == list(nodes[name]["columns"])
        assert all(child.description for child in (table, *table.children) if child.kind != "partition")
        assert f'[Schema="marts", Item="{name}"]' in " ".join(table.of_kind("partition")[name].body)


def test_keys_and_technical_columns_are_hidden(model: dict[str, tmdl.Node]) -> None:
    shown = {
        f"{table.name}.{column.name}"
        for table in model.values()
        for column in table.of_kind("column").values()
        if "isHidden" not in column.properties
    }

    assert not [name for name in shown if name.endswith(("_sk", "_key", ".load_id", ".described_by"))]
    assert {"dim_users.country", "fact_order.amount", "dim_calendar.calendar_date"} <= shown


def test_one_table_is_the_date_table(model: dict[str, tmdl.Node]) -> None:
    assert [name for name, table in model.items() if table.properties.get("dataCategory") == "Time"] == [CALENDAR]
    days = model[CALENDAR].of_kind("column")
    assert [name for name, column in days.items() if "isKey" in column.properties] == ["calendar_date"]
    assert days["calendar_date"].properties["dataType"] == "dateTime"


def test_relationships_join_columns_of_one_type_to_a_key(
    model: dict[str, tmdl.Node], held: dict[str, str], related: tuple[Relationship, ...], manifest: dict[str, Any]
) -> None:
    nodes = tmdl.parse(held[f"{MODEL}/relationships.tmdl"])[0]
    ends = [(node.properties["fromColumn"], node.properties["toColumn"]) for node in nodes]

    assert ends == [(f"{one.table}.{one.column}", f"{one.to_table}.{one.to_column}") for one in related]
    assert len({node.name for node in nodes}) == len(nodes) == len(set(ends)) > 10
    assert [pair for pair in ends if type_of(model, pair[0]) != type_of(model, pair[1])] == []
    keys = {f"{node['name']}.{key}" for node in manifest["nodes"].values() for key in node.get("primary_key") or ()}
    assert {target for _, target in ends} <= keys | {f"{CALENDAR}.calendar_date"}


def test_no_key_and_no_day_stands_alone(tables: dict[str, Table], related: tuple[Relationship, ...], manifest: dict[str, Any]) -> None:
    dimensions = {node["name"] for node in manifest["nodes"].values() if node["name"].startswith("dim_") and node.get("primary_key")}
    days = {(table.name, column.name) for table in tables.values() for column in table.columns if column.base_type == "date"}

    assert dimensions == KEYS.keys(), "loglake/bi/query.py names the dimensions and their keys"
    assert days - {(CALENDAR, "calendar_date")} == set(DAYS.items()), "loglake/bi/query.py names the column of each table's day"
    assert {one.to_table for one in related} == {*KEYS, CALENDAR}


def test_there_is_one_way_from_a_table_to_another(tables: dict[str, Table], related: tuple[Relationship, ...]) -> None:
    # Power BI refuses a model in which a filter could take two ways.
    def reached(name: str) -> Iterator[str]:
        for relationship in related:
            if relationship.table == name:
                yield relationship.to_table
                yield from reached(relationship.to_table)

    for name in tables:
        ways = list(reached(name))
        assert len(ways) == len(set(ways)), name


def test_measures_are_where_they_belong_and_name_columns_of_the_model(model: dict[str, tmdl.Node]) -> None:
    found = {name: (table.name, node.value) for table in model.values() for name, node in table.of_kind("measure").items()}

    assert {name: table for name, (table, _) in found.items()} == {name: measure.table for name, measure in MEASURES.items()}
    for name, (_, dax) in found.items():
        assert dax.count("(") == dax.count(")")
        assert [pair for pair in re.findall(r"(\w+)\[(\w+)\]", dax) if pair[1] not in model[pair[0]].of_kind("column")] == []
        assert set(re.findall(r"(?<!\w)\[([^\]]+)\]", dax)) <= found.keys()
        assert ("HASONEVALUE(fact_order[currency])" in dax) == ("SUM(fact_order[amount])" in dax), name
