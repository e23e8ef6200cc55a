"""A strict reader of the part of TMDL that the project writes: tabs for depth, one object or property a line, nothing unknown."""

import re
from dataclasses import dataclass, field

_NAME = r"(?:\w+|'(?:[^']|'')+')"
_OBJECT = re.compile(
    rf"(?P<kind>database|model|table|column|measure|partition|relationship|expression)(?: (?P<name>{_NAME}|[\w-]+))?(?: = (?P<value>.+))?"
)
_PROPERTY = re.compile(r"(?P<name>\w+)(?:(?:: (?P<value>.+))|(?P<body> =))?")
_ANNOTATION = re.compile(r"annotation \w+ = .+")
_REFERENCE = re.compile(rf"ref table (?P<name>{_NAME})")

#: Properties that are true by being there; the others have a value.
_FLAGS = {"discourageImplicitMeasures", "dataAccessOptions", "legacyRedirects", "returnErrorValuesAsNull", "isHidden", "isKey"}
#: What may stand below an object: properties, and kinds of objects.
_PROPERTIES = {
    "database": {"compatibilityLevel"},
    "model": {
        "culture",
        "defaultPowerBIDataSourceVersion",
        "discourageImplicitMeasures",
        "sourceQueryCulture",
        "dataAccessOptions",
        "legacyRedirects",
        "returnErrorValuesAsNull",
    },
    "table": {"lineageTag", "dataCategory", "isHidden"},
    "column": {"dataType", "isHidden", "isKey", "formatString", "lineageTag", "summarizeBy", "sourceColumn"},
    "measure": {"formatString", "lineageTag"},
    "partition": {"mode", "source"},
    "relationship": {"fromColumn", "toColumn"},
    "expression": {"lineageTag"},
}
_CHILDREN = {"table": {"column", "measure", "partition"}}


@dataclass
class Node:
    """An object of the model. `value`: what follows its `=`; `body`: the lines of an expression below it."""

    kind: str
    name: str
    value: str
    depth: int
    description: str = ""
    properties: dict[str, str] = field(default_factory=dict)
    children: list["Node"] = field(default_factory=list)
    body: list[str] = field(default_factory=list)

    def of_kind(self, kind: str) -> dict[str, "Node"]:
        return {child.name: child for child in self.children if child.kind == kind}


def unquoted(name: str) -> str:
    return name[1:-1].replace("''", "'") if name.startswith("'") else name


def parse(text: str) -> tuple[list[Node], list[str]]:
    """The top-level objects of a file, and the tables it refers to; AssertionError where it is not as TMDL should be."""
    assert text.endswith("\n")
    root = Node("", "", "", -1)
    open_nodes, references, description, body_of = [root], [], "", None
    for number, line in enumerate(text.split("\n"), start=1):
        depth = len(line) - len(line.lstrip("\t"))
        content = line[depth:]
        assert content == content.rstrip(), f"line {number}: blanks at its end"
        if body_of is not None and content and depth >= body_of.depth + 3:
            body_of.body.append(content)
            continue
        body_of = None if content else body_of
        if not content:
            assert not description, f"line {number}: a description apart from its object"
            continue
        assert not content.startswith(" "), f"line {number}: blanks before {content!r}"
        if content.startswith("/// "):
            assert not description, f"line {number}: two descriptions of one object"
            description = content[4:]
            continue
        while open_nodes[-1].depth >= depth:
            open_nodes.pop()
        node = _line(open_nodes, depth, content, references, f"line {number}: {content!r}")
        if node is not None:
            node.description, description = description, ""
            open_nodes.append(node)
        elif content.endswith(" ="):
            body_of = open_nodes[-1]
        assert not description, f"line {number}: a description of what is no object"
    return root.children, references


def _line(open_nodes: list[Node], depth: int, content: str, references: list[str], where: str) -> Node | None:
    """Take in one line; the node it begins, or None for a property, annotation or reference."""
    parent = open_nodes[-1]
    if _ANNOTATION.fullmatch(content):
        return None
    reference = _REFERENCE.fullmatch(content)
    if reference and depth == 0:
        references.append(unquoted(reference["name"]))
        return None
    begun = _OBJECT.fullmatch(content)
    if begun and (depth == 0 or begun["kind"] in _CHILDREN.get(parent.kind, ())):
        assert depth == parent.depth + 1, f"{where}: depth"
        assert begun["name"] or begun["kind"] == "database", f"{where}: no name"
        node = Node(begun["kind"], unquoted(begun["name"] or ""), begun["value"] or "", depth)
        parent.children.append(node)
        return node
    known = _PROPERTY.fullmatch(content)
    assert known, f"{where}: neither an object nor a property"
    assert known["name"] in _PROPERTIES[parent.kind], f"{where}: no property of a {parent.kind}"
    assert (known["name"] in _FLAGS) == (known["value"] is None and known["body"] is None), f"{where}: its value"
    assert depth == parent.depth + 1 or parent.kind == "model", f"{where}: depth"
    assert known["name"] not in parent.properties, f"{where}: twice"
    parent.properties[known["name"]] = known["value"] or ""
    return None
