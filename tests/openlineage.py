"""Whether an event is what OpenLineage's specification says.

The published JSON schemas are not ours to keep in the tree, and no package was found that carries them: OPENLINEAGE_SPEC names the folder
`spec` of a clone of github.com/OpenLineage/OpenLineage. Without it the schemas are derived from the client's classes, which are generated
from them: names, types and what is required are the same, while formats and patterns are not checked.
"""

import enum
import json
import os
import types
import typing
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import attr
import jsonschema
from openlineage.client.event_v2 import RunEvent
from openlineage.client.facet_v2 import BaseFacet
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

_FACETS = ("facets", "inputFacets", "outputFacets")
_PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean"}


def errors(event: dict[str, Any]) -> list[str]:
    """What is wrong with a run event and with each of its facets, by the schema that it names itself."""
    return [
        f"{place}: {'/'.join(map(str, error.absolute_path))}: {error.message}"
        for place, document in [("event", event), *_facets(event)]
        for error in _validator(document.get("schemaURL") or document["_schemaURL"]).iter_errors(document)
    ]


def origins(events: list[dict[str, Any]], dataset: str, column: str) -> set[tuple[str, str]]:
    """Where a column comes from in the end: followed through every column lineage facet to (dataset, column) pairs that have none."""
    made = {
        (one["name"], name): {(source["name"], source["field"]) for source in field["inputFields"]}
        for event in events
        for one in event.get("outputs") or ()
        for name, field in one["facets"].get("columnLineage", {"fields": {}})["fields"].items()
    }
    found, waiting, seen = set(), [(dataset, column)], set()
    while waiting:
        place = waiting.pop()
        if place in seen:
            continue
        seen.add(place)
        waiting += made.get(place, ())
        if place not in made:
            found.add(place)
    return found


def _facets(value: Any, place: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(value, dict):
        for name, item in value.items():
            if name in _FACETS:
                yield from ((f"{place}/{one}", facet) for one, facet in item.items())
            yield from _facets(item, f"{place}/{name}")
    elif isinstance(value, list):
        for item in value:
            yield from _facets(item, place)


@cache
def _validator(address: str) -> jsonschema.Draft202012Validator:
    if spec := os.environ.get("OPENLINEAGE_SPEC"):
        published = _published(spec)
        return jsonschema.Draft202012Validator({"$ref": address}, registry=published, format_checker=jsonschema.FormatChecker())
    return jsonschema.Draft202012Validator({"$ref": f"#/$defs/{_name(_classes()[address])}", "$defs": _definitions()})


def _file(address: str) -> str:
    """The file of a schema's address; its version is left out, as a clone has one of each."""
    return address.partition("#")[0].rpartition("/")[2]


@cache
def _published(spec: str) -> "Registry[Any]":
    """Every schema of a clone by its address."""
    found = [json.loads(path.read_text()) for path in Path(spec).rglob("*.json") if "tests" not in path.parts]
    resources = {one["$id"]: DRAFT202012.create_resource(one) for one in found if "$id" in one}

    def other_version(address: str) -> "Resource[Any]":
        return next(resource for known, resource in resources.items() if known.endswith(f"/{_file(address)}"))

    return Registry(retrieve=other_version).with_resources(resources.items())  # type: ignore[call-arg]


@cache
def _classes() -> dict[str, type]:
    """The client's class of each schema: of run events and of every facet."""
    found, waiting = {RunEvent._get_schema(): RunEvent}, [BaseFacet]
    while waiting:
        one = waiting.pop()
        found[one._get_schema()] = one
        waiting += one.__subclasses__()
    return found


@cache
def _definitions() -> dict[str, Any]:
    """A schema for each of these classes and of those that their fields are of."""
    found: dict[str, Any] = {}
    waiting = list(_classes().values())
    while waiting:
        one = waiting.pop()
        if _name(one) not in found:
            hints = typing.get_type_hints(one)
            fields = attr.fields(one)
            found[_name(one)] = {
                "type": "object",
                "properties": {field.name: _of_type(hints[field.name], waiting) for field in fields},
                "required": [field.name for field in fields if field.default is attr.NOTHING],
            }
    return found


def _name(one: type) -> str:
    return f"{one.__module__}.{one.__name__}"


def _of_type(hint: Any, waiting: list[type]) -> dict[str, Any]:
    """The schema of a field's type; a class that it names is put on the list of those to be looked at."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [_of_type(one, waiting) for one in arguments if one is not types.NoneType]}
    if origin is list:
        return {"type": "array", "items": _of_type(arguments[0], waiting)}
    if origin is dict:
        return {"type": "object", "additionalProperties": _of_type(arguments[1], waiting)}
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return {"enum": [one.value for one in hint]}
    if attr.has(hint):
        waiting.append(hint)
        return {"$ref": f"#/$defs/{_name(hint)}"}
    return {"type": _PLAIN[hint]} if hint in _PLAIN else {}
