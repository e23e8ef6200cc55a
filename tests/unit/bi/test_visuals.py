"""The report of `bi/`: every visual shows what the model has, in a place of its own, as Microsoft's schemas have it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from loglake.bi import pbir
from loglake.bi.measures import base_measures
from loglake.bi.model import Relationship, Table
from loglake.bi.pages import CURRENCY, PAGES
from loglake.bi.query import CALENDAR, columns_of, joins
from tests import pbirschemas, tmdl

pytestmark = pytest.mark.unit
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
def test_a_query_reads_columns_that_are_there_by_relationships_that_are_there(
    visual: Any, tables: dict[str, Table], related: tuple[Relationship, ...]
) -> None:
    ends = {(f"{one.table}.{one.column}", one.to_table, one.to_column) for one in related}
    for base in {base for name in visual.measures for base in base_measures(name)}:
        named = {pair for text in (base.sql, *visual.by) for pair in columns_of(text)}
        assert [pair for pair in named if not tables[pair[0]].has(pair[1])] == []
        for table, (column, key) in joins(base.table, {table for table, _ in named}).items():
            assert (column, table, key) in ends


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
