"""The files of `bi/`: up to date with dbt's models, and at one with themselves: every name that one uses is in the other."""

import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from loglake import models
from loglake.bi import files, pbir, tableau
from loglake.bi.measures import MEASURES, base_measures
from loglake.bi.model import SCHEMA, Relationship, Table, read_tables, relationships
from loglake.bi.pages import CURRENCY, PAGES
from loglake.bi.query import CALENDAR, DAYS, KEYS, columns_of, joins, query
from loglake.cli import main
from loglake.errors import LoglakeError, ServiceError
from loglake.models import read_manifest
from loglake.report import read
from loglake.settings import PROJECT
from tests import pbirschemas, tmdl

pytestmark = pytest.mark.unit

MODEL = "loglake.SemanticModel/definition"
REPORT = "loglake.Report/definition"
VISUALS = [visual for page in PAGES for visual in page.visuals]

#: The wells of Power BI's visuals that are in use; no schema of Microsoft's lists them.
WELLS = {
    ("multiRowCard", "Values"),
    *(("lineChart", well) for well in ("Category", "Series", "Y")),
    *(("clusteredBarChart", well) for well in ("Category", "Series", "Y", "Tooltips")),
    ("tableEx", "Values"),
    *(("pivotTable", well) for well in ("Rows", "Columns", "Values")),
    ("funnel", "Y"),
}


@pytest.fixture(scope="module")
def tables(manifest: dict[str, Any]) -> dict[str, Table]:
    return read_tables(manifest)


@pytest.fixture(scope="module")
def related(tables: dict[str, Table]) -> tuple[Relationship, ...]:
    return relationships(tables)


@pytest.fixture(scope="module")
def held() -> dict[str, str]:
    """The files in the tree."""
    paths = [path for path in files.FOLDER.rglob("*") if path.is_file() and ".pbi" not in path.parts]
    return {path.relative_to(files.FOLDER).as_posix(): path.read_text() for path in paths}


@pytest.fixture(scope="module")
def model(held: dict[str, str]) -> dict[str, tmdl.Node]:
    """The model's tables as the TMDL has them."""
    parsed = [tmdl.parse(text)[0] for path, text in held.items() if path.startswith(f"{MODEL}/tables/")]
    assert all(len(nodes) == 1 for nodes in parsed)
    return {node.name: node for [node] in parsed}


def type_of(model: dict[str, tmdl.Node], column: str) -> str:
    table, _, name = column.partition(".")
    return model[table].of_kind("column")[name].properties["dataType"]


def test_the_tree_holds_what_the_models_and_pages_give(manifest: dict[str, Any]) -> None:
    assert files.differences(files.bi_files(manifest)) == {}


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


@pytest.mark.parametrize("visual", VISUALS, ids=lambda visual: visual.name)
def test_a_query_reads_columns_that_are_there_by_relationships_that_are_there(
    visual: Any, tables: dict[str, Table], related: tuple[Relationship, ...]
) -> None:
    ends = {(f"{one.table}.{one.column}", one.to_table, one.to_column) for one in related}
    for base in {base for name in visual.measures for base in base_measures(name)}:
        named = {pair for text in (base.sql, *visual.by) for pair in columns_of(text)}
        assert [pair for pair in named if not tables[pair[0]].has(pair[1])] == []
        for table, (column, key) in joins(base.table, {table for table, _ in named}).items():
            assert (column, table, key) in ends


def test_measures_are_where_they_belong_and_name_columns_of_the_model(model: dict[str, tmdl.Node]) -> None:
    found = {name: (table.name, node.value) for table in model.values() for name, node in table.of_kind("measure").items()}

    assert {name: table for name, (table, _) in found.items()} == {name: measure.table for name, measure in MEASURES.items()}
    for name, (_, dax) in found.items():
        assert dax.count("(") == dax.count(")")
        assert [pair for pair in re.findall(r"(\w+)\[(\w+)\]", dax) if pair[1] not in model[pair[0]].of_kind("column")] == []
        assert set(re.findall(r"(?<!\w)\[([^\]]+)\]", dax)) <= found.keys()
        assert ("HASONEVALUE(fact_order[currency])" in dax) == ("SUM(fact_order[amount])" in dax), name


def fields(value: Any, sources: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    """(kind, table, name) of each column and measure that a visual's JSON refers to; `sources`: the aliases of its filter."""
    if isinstance(value, list):
        for item in value:
            yield from fields(item, sources)
    if not isinstance(value, dict):
        return
    sources = sources | {item["Name"]: item["Entity"] for item in value.get("From", ()) if "Entity" in item}
    for kind in ("Column", "Measure"):
        if kind in value:
            reference = value[kind]["Expression"]["SourceRef"]
            yield kind.lower(), reference.get("Entity") or sources[reference["Source"]], value[kind]["Property"]
    for item in value.values():
        yield from fields(item, sources)


@pytest.mark.parametrize("visual", VISUALS, ids=lambda visual: visual.name)
def test_a_visual_shows_what_it_is_declared_to_show_of_the_model(visual: Any, model: dict[str, tmdl.Node], held: dict[str, str]) -> None:
    [text] = [text for path, text in held.items() if path.endswith(f"/visuals/{visual.name}/visual.json")]
    document = json.loads(text)
    found = set(fields(document, {}))

    assert [one for one in found if one[2] not in model[one[1]].of_kind(one[0])] == []
    assert {name for kind, _, name in found if kind == "measure"} == {*visual.measures, *([visual.order] if visual.order else [])}
    assert {f"{table}.{name}" for kind, table, name in found if kind == "column"} == set(visual.by)
    assert document["name"] == visual.name
    assert len(document.get("filterConfig", {}).get("filters", ())) == bool(visual.top)


def test_every_page_can_be_filtered_by_day_and_currency(model: dict[str, tmdl.Node], held: dict[str, str]) -> None:
    offered = {f"{table}.{name}" for _, table, name in fields(json.loads(held[f"{REPORT}/report.json"]), {})}

    assert offered == {f"{CALENDAR}.calendar_date", CURRENCY}
    assert [name for name in offered if name.partition(".")[2] not in model[name.partition(".")[0]].of_kind("column")] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_visuals_lie_beside_each_other_on_their_page(page: Any, held: dict[str, str]) -> None:
    size = json.loads(held[f"{REPORT}/pages/{page.name}/page.json"])
    boxes = [(box["x"], box["y"], box["x"] + box["width"], box["y"] + box["height"]) for box in pbir.positions(page)]

    assert all(0 <= x < right <= size["width"] and 0 <= y < bottom <= size["height"] for x, y, right, bottom in boxes)
    for number, one in enumerate(boxes):
        assert not [two for two in boxes[number + 1 :] if one[0] < two[2] and two[0] < one[2] and one[1] < two[3] and two[1] < one[3]]
    pages = {path.removeprefix(f"{REPORT}/pages/").partition("/")[0] for path in held if path.startswith(f"{REPORT}/pages/")}
    assert pages == {"pages.json", *(page.name for page in PAGES)}
    assert json.loads(held[f"{REPORT}/pages/pages.json"])["pageOrder"] == [page.name for page in PAGES]


def test_the_project_is_one_chain_of_files(held: dict[str, str]) -> None:
    [artifact] = json.loads(held["loglake.pbip"])["artifacts"]
    reference = json.loads(held[f"{artifact['report']['path']}/definition.pbir"])["datasetReference"]["byPath"]["path"]

    assert f"{Path(reference).name}/definition.pbism" in held
    assert all(tmdl.parse(text) for path, text in held.items() if path.endswith(".tmdl"))


def test_power_bi_files_are_as_microsofts_schemas_have_them(held: dict[str, str]) -> None:
    documents = {path: json.loads(text) for path, text in held.items() if text.startswith("{") and not path.endswith(".pbids")}
    schemas = pbirschemas.registry(pbirschemas.source())

    assert len(documents) > len(VISUALS)
    assert {path: pbirschemas.errors(document, schemas) for path, document in documents.items()} == {path: [] for path in documents}


def test_a_visuals_inside_has_no_place_that_was_not_validated(held: dict[str, str]) -> None:
    documents = [json.loads(text) for path, text in held.items() if path.endswith("/visual.json")]
    found = {
        place
        for document in documents
        for name in ("visual", "filterConfig")
        for place in pbirschemas.places(document.get(name, {}), (name,))
    }

    assert found == pbirschemas.VALIDATED
    wells = {(document["visual"]["visualType"], well) for document in documents for well in document["visual"]["query"]["queryState"]}
    assert wells == WELLS


def test_tableau_joins_the_orders_to_columns_that_are_there(held: dict[str, str], tables: dict[str, Table]) -> None:
    root = ElementTree.fromstring(held["loglake.tds"])  # noqa: S314
    maps = {one.attrib["key"]: one.attrib["value"] for one in root.iter("map")}
    named = [*maps.values(), *(one.attrib["op"] for one in root.iter("expression") if one.attrib["op"] != "=")]
    pairs = [re.fullmatch(r"\[(\w+)\]\.\[(\w+)\]", text) for text in named]

    assert [match for match in pairs if match is None or not tables[match[1]].has(match[2])] == []
    assert {one.attrib["name"] for one in root.iter("column")} == maps.keys()
    assert len(set(maps.values())) == len(maps)


def test_no_file_holds_a_password(held: dict[str, str]) -> None:
    assert [path for path, text in held.items() if re.search(r"""(password|pwd)["']?\s*[=:]""", text, re.IGNORECASE)] == []
    assert json.loads(held["loglake.pbids"])["connections"][0]["details"] == {
        "protocol": "postgresql",
        "address": {"server": "127.0.0.1:5432", "database": "loglake"},
    }


def test_exposures_say_what_is_read(manifest: dict[str, Any], tables: dict[str, Table], related: tuple[Relationship, ...]) -> None:
    found = {node["name"]: {name.rpartition(".")[2] for name in node["depends_on"]["nodes"]} for node in manifest["exposures"].values()}

    assert found == {
        "power_bi": set(tables),
        "tableau": set(re.findall(r"name=\"(\w+)\" table=", tableau.data_source(tables, related))),
        "html_report": {name for text in (inspect.getsource(read), *map(query, VISUALS)) for name in re.findall(r"marts\.(\w+)", text)},
    }


def test_the_guide_names_every_mart(manifest: dict[str, Any]) -> None:
    guide = (PROJECT / "docs" / "bi.md").read_text()
    marts = [node["name"] for node in manifest["nodes"].values() if node["resource_type"] == "model" and node["schema"] == SCHEMA]

    assert len(marts) > 20
    assert [name for name in marts if f"`{name}`" not in guide] == []


def test_a_type_without_a_counterpart_is_named(manifest: dict[str, Any]) -> None:
    changed = json.loads(json.dumps(manifest))
    changed["nodes"]["model.loglake.fact_order"]["columns"]["amount"]["data_type"] = "point"

    with pytest.raises(LoglakeError, match=r"marts\.fact_order\.amount: no Power BI type for point"):
        files.bi_files(changed)


def test_a_project_that_dbt_cannot_read_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def parse(args: list[str], environment: dict[str, str], lines: list[str], _on_line: Any) -> int:
        assert (args, environment["DBT_ENV_SECRET_LOGLAKE_PASSWORD"]) == (["parse"], "")
        lines += ["12:00:00  Encountered an error:", "Compilation Error", "  Model 'x' is twice there"]
        return 2

    monkeypatch.setattr(models, "_stream", parse)
    with pytest.raises(ServiceError, match="dbt parse: Compilation Error Model 'x' is twice there"):
        read_manifest()


def test_check_names_the_file_that_drifted_and_writing_mends_it(
    manifest: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("loglake.models.read_manifest", lambda: manifest)
    monkeypatch.setattr(files.differences, "__defaults__", (tmp_path,))
    monkeypatch.setattr(files.write, "__defaults__", (tmp_path,))

    def code_of(*arguments: str) -> Any:
        monkeypatch.setattr("sys.argv", ["loglake", "bi", *arguments])
        with pytest.raises(SystemExit) as left:
            main.run()
        return left.value.code

    assert code_of() == 0
    assert code_of("--check") == 0
    (tmp_path / "loglake.pbids").write_text("{}")
    (tmp_path / "loglake.Report" / "old.json").write_text("{}")
    capsys.readouterr()
    assert code_of("--check") == 1
    assert capsys.readouterr().err.startswith("error: bi/loglake.Report/old.json belongs to nothing (and 1 more): run `loglake bi`")
    assert code_of() == 0
    assert files.differences(files.bi_files(manifest)) == {}
