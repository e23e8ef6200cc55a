"""The Power BI report as PBIR: a file per page and per visual, each naming Microsoft's schema that describes it."""

import json
from typing import Any

from loglake.bi.measures import MEASURES
from loglake.bi.pages import CURRENCY, PAGES, Page, Visual
from loglake.bi.query import CALENDAR
from loglake.bi.tmdl import identity

_SCHEMAS = "https://developer.microsoft.com/json-schemas/fabric"
_DEFINITION = f"{_SCHEMAS}/item/report/definition"
#: Not the newest versions: Power BI Desktop refuses files of a newer format than its own.
SCHEMAS = {
    "platform": f"{_SCHEMAS}/gitIntegration/platformProperties/2.0.0/schema.json",
    "pbip": f"{_SCHEMAS}/pbip/pbipProperties/1.0.0/schema.json",
    "pbism": f"{_SCHEMAS}/item/semanticModel/definitionProperties/1.0.0/schema.json",
    "pbir": f"{_SCHEMAS}/item/report/definitionProperties/2.0.0/schema.json",
    "version": f"{_DEFINITION}/versionMetadata/1.0.0/schema.json",
    "report": f"{_DEFINITION}/report/3.0.0/schema.json",
    "pages": f"{_DEFINITION}/pagesMetadata/1.0.0/schema.json",
    "page": f"{_DEFINITION}/page/2.0.0/schema.json",
    "visual": f"{_DEFINITION}/visualContainer/2.4.0/schema.json",
}
_THEME_VERSIONS = {"visual": "2.4.0", "page": "2.0.0", "report": "3.0.0"}

#: Power BI's visual and its wells: for the first of `by`, the second, and the measures.
_VISUALS = {
    "card": ("multiRowCard", ("Values", "Values", "Values")),
    "line": ("lineChart", ("Category", "Series", "Y")),
    "bar": ("clusteredBarChart", ("Category", "Series", "Y")),
    "table": ("tableEx", ("Values", "Values", "Values")),
    "matrix": ("pivotTable", ("Rows", "Columns", "Values")),
    "funnel": ("funnel", ("Category", "Category", "Y")),
}
_WIDTH, _HEIGHT, _GAP, _CARD_HEIGHT, _ACROSS = 1280, 720, 16, 112, 3


def report_files() -> dict[str, str]:
    """The files of `definition/`: path below it -> content."""
    theme = {"name": "CY24SU10", "reportVersionAtImport": _THEME_VERSIONS, "type": "SharedResources"}
    files = {
        "version.json": document("version", version="2.0.0"),
        "report.json": document("report", themeCollection={"baseTheme": theme}, filterConfig={"filters": _offered_filters()}),
        "pages/pages.json": document("pages", pageOrder=[page.name for page in PAGES], activePageName=PAGES[0].name),
    }
    for page in PAGES:
        folder = f"pages/{page.name}"
        size = {"displayOption": "FitToPage", "height": _HEIGHT, "width": _WIDTH}
        files[f"{folder}/page.json"] = document("page", name=page.name, displayName=page.title, **size)
        for visual, position in zip(page.visuals, positions(page), strict=True):
            files[f"{folder}/visuals/{visual.name}/visual.json"] = _container(visual, position)
    return files


def document(kind: str, **content: Any) -> str:
    """A JSON file that names its schema."""
    return json.dumps({"$schema": SCHEMAS[kind], **content}, indent=2, ensure_ascii=False) + "\n"


def positions(page: Page) -> list[dict[str, int]]:
    """Where each visual of a page lies: cards above, over the whole width; the others in a grid below."""
    cards = [visual for visual in page.visuals if visual.kind == "card"]
    others = len(page.visuals) - len(cards)
    top = _GAP + len(cards) * (_CARD_HEIGHT + _GAP)
    rows = -(-others // _ACROSS)
    width = (_WIDTH - _GAP) // _ACROSS - _GAP
    height = (_HEIGHT - top) // rows - _GAP
    found, card, cell = [], 0, 0
    for order, visual in enumerate(page.visuals):
        if visual.kind == "card":
            box = (_GAP, _GAP + card * (_CARD_HEIGHT + _GAP), _WIDTH - 2 * _GAP, _CARD_HEIGHT)
            card += 1
        else:
            row, place = divmod(cell, _ACROSS)
            box = (_GAP + place * (width + _GAP), top + row * (height + _GAP), width, height)
            cell += 1
        found.append(dict(zip(("x", "y", "width", "height"), box, strict=True)) | {"z": order, "tabOrder": order})
    return found


def _offered_filters() -> list[dict[str, Any]]:
    """What the filter pane offers on every page, unset: the days and the currency."""
    kinds = {f"{CALENDAR}.calendar_date": "Advanced", CURRENCY: "Categorical"}
    return [{"name": identity("filter", by), "field": _column(by), "type": kind} for by, kind in kinds.items()]


def _container(visual: Visual, position: dict[str, int]) -> str:
    kind, (first, second, values) = _VISUALS[visual.kind]
    wells: dict[str, list[dict[str, Any]]] = {}
    for place, by in enumerate(visual.by):
        wells.setdefault(second if place else first, []).append(_projection(_column(by), by))
    for name in visual.measures:
        wells.setdefault(values, []).append(_projection(_measure(name), f"{MEASURES[name].table}.{name}"))
    if visual.order and visual.order not in visual.measures:
        # A visual sorts by what it holds; this one is seen when one points at it.
        wells["Tooltips"] = [_projection(_measure(visual.order), f"{MEASURES[visual.order].table}.{visual.order}")]
    query: dict[str, Any] = {"queryState": {well: {"projections": fields} for well, fields in wells.items()}}
    if visual.order or visual.by:
        field = _measure(visual.order) if visual.order else _column(visual.by[0])
        query["sortDefinition"] = {"sort": [{"field": field, "direction": "Descending" if visual.order else "Ascending"}]}
    title = {"show": _literal("true"), "text": _literal("'" + visual.title.replace("'", "''") + "'")}
    content: dict[str, Any] = {
        "name": visual.name,
        "position": position,
        "visual": {
            "visualType": kind,
            "query": query,
            "visualContainerObjects": {"title": [{"properties": title}]},
            "drillFilterOtherVisuals": True,
        },
    }
    if visual.top:
        content["filterConfig"] = {"filters": [_top_filter(visual)]}
    return document("visual", **content)


def _projection(field: dict[str, Any], reference: str) -> dict[str, Any]:
    return {"field": field, "queryRef": reference, "nativeQueryRef": reference.partition(".")[2]}


def _column(by: str, source: dict[str, str] | None = None) -> dict[str, Any]:
    table, _, column = by.partition(".")
    return {"Column": {"Expression": {"SourceRef": source or {"Entity": table}}, "Property": column}}


def _measure(name: str, source: dict[str, str] | None = None) -> dict[str, Any]:
    return {"Measure": {"Expression": {"SourceRef": source or {"Entity": MEASURES[name].table}}, "Property": name}}


def _literal(value: str) -> dict[str, Any]:
    return {"expr": {"Literal": {"Value": value}}}


def _top_filter(visual: Visual) -> dict[str, Any]:
    """Only the members of the first of `by` that come first by `order`: a subquery, and the condition to be in it."""
    # Each table once, by its own name.
    tables = [visual.by[0].partition(".")[0], MEASURES[visual.order].table]
    sources = [{"Name": table, "Entity": table, "Type": 0} for table in dict.fromkeys(tables)]
    member = _column(visual.by[0], {"Source": tables[0]})
    ranked = {
        "Version": 2,
        "From": sources,
        "Select": [{**member, "Name": "field"}],
        "OrderBy": [{"Direction": 2, "Expression": _measure(visual.order, {"Source": tables[1]})}],
        "Top": visual.top,
    }
    return {
        "name": identity("filter", visual.name),
        "field": _column(visual.by[0]),
        "type": "TopN",
        "filter": {
            "Version": 2,
            "From": [{"Name": "subquery", "Expression": {"Subquery": {"Query": ranked}}, "Type": 2}, sources[0]],
            "Where": [{"Condition": {"In": {"Expressions": [member], "Table": {"SourceRef": {"Source": "subquery"}}}}}],
        },
    }
