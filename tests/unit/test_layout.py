"""The tree keeps its shape: who may import whom, and what must never be in it."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

from loglake.settings import PROJECT

pytestmark = pytest.mark.unit

STAGES = ("producers", "consumers", "spark_jobs", "dags", "monitoring", "hadoop", "stack")
#: What starts the servers also knows where Hadoop's configuration lies; the name and data nodes are part of the stack.
ALLOWED = {("stack", "hadoop"), ("hadoop", "stack")}


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(
        ["/usr/bin/env", "git", "ls-files", "-z", "--", *patterns], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    return [PROJECT / name for name in listed.stdout.split("\0") if name and (PROJECT / name).is_file()]


def imported(path: Path) -> set[str]:
    """The top-level packages a file imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_imports_the_kernel_and_itself_only(stage):
    for path in tracked(f"{stage}/*.py"):
        for name in imported(path):
            other = name.split(".")[0]
            assert other not in STAGES or other == stage or (stage, other) in ALLOWED, f"{path.relative_to(PROJECT)} imports {name}"
            assert name.split(".")[:2] != ["loglake", "cli"], f"{path.relative_to(PROJECT)} imports the command line"


def test_the_kernel_imports_no_stage():
    for path in tracked("loglake/*.py"):
        if path.parent.name == "cli":
            continue
        for name in imported(path):
            assert name.split(".")[0] not in (*STAGES, "bench"), f"{path.relative_to(PROJECT)} imports {name}"


def test_only_the_settings_read_the_environment():
    for path in tracked("loglake/*.py", *(f"{stage}/*.py" for stage in (*STAGES, "bench"))):
        if path.name == "settings.py":
            continue
        assert not re.search(r"os\.(environ|getenv)", path.read_text()), path.relative_to(PROJECT)


def test_nothing_shadows_dbt():
    assert not (PROJECT / "dbt" / "__init__.py").exists()
    assert [path for path in tracked("*.py") if path.name.startswith("dbt")] == []


def test_the_tree_holds_no_registry_no_machine_path_and_no_leftover():
    # Each pattern is written in two parts, so that this file does not find itself.
    unwanted = [
        re.compile(r"https?://[a-z0-9.-]*(py" + "pi|python" + "hosted|mav" + "en|npm" + "js|crates|golang|debian)"),
        re.compile(r"(^|[^\w.])/(wor" + "k|roo" + "t)/"),
        re.compile("TO" + "DO|FIX" + "ME|NotImplemented" + "Error"),
    ]
    for path in tracked("*.py", "*.sql", "*.sh", "*.toml", "*.yaml", "*.yml", "*.xml", "*.md", "Makefile", ".ci/run", "requirements.lock"):
        text = path.read_text()
        for pattern in unwanted:
            found = pattern.search(text)
            assert found is None, f"{path.relative_to(PROJECT)}: {found and found.group()}"


def test_files_stay_small():
    lengths = {str(path.relative_to(PROJECT)): len(path.read_text().splitlines()) for path in tracked("*.py")}
    assert [name for name, lines in lengths.items() if lines > (350 if name.startswith("tests/") else 300)] == []
