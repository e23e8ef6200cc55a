"""The files of `bi/`: up to date with dbt's models, at one with themselves, and without a secret."""

import inspect
import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from loglake import models
from loglake.bi import files, tableau
from loglake.bi.model import SCHEMA, Relationship, Table
from loglake.bi.pages import PAGES
from loglake.bi.query import query
from loglake.cli import main
from loglake.errors import LoglakeError, ServiceError
from loglake.models import read_manifest
from loglake.report import read
from loglake.settings import PROJECT
from tests import tmdl

pytestmark = pytest.mark.unit
VISUALS = [visual for page in PAGES for visual in page.visuals]


def test_the_tree_holds_what_the_models_and_pages_give(manifest: dict[str, Any]) -> None:
    assert files.differences(files.bi_files(manifest)) == {}


def test_the_project_is_one_chain_of_files(held: dict[str, str]) -> None:
    [artifact] = json.loads(held["loglake.pbip"])["artifacts"]
    reference = json.loads(held[f"{artifact['report']['path']}/definition.pbir"])["datasetReference"]["byPath"]["path"]

    assert f"{Path(reference).name}/definition.pbism" in held
    assert all(tmdl.parse(text) for path, text in held.items() if path.endswith(".tmdl"))


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
