"""The files of `bi/`, and what they are made from."""

from typing import Any

import pytest

from loglake.bi import files
from loglake.bi.model import Relationship, Table, read_tables, relationships
from tests import tmdl


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
    parsed = [tmdl.parse(text)[0] for path, text in held.items() if path.startswith("loglake.SemanticModel/definition/tables/")]
    assert all(len(nodes) == 1 for nodes in parsed)
    return {node.name: node for [node] in parsed}
