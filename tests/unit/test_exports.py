"""Exports and the files they write, without a warehouse."""

import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from loglake.cli.export import file_format
from loglake.errors import BadInputError
from loglake.files import replacing
from loglake.marts import Column, require
from loglake.parquet import arrow_type
from loglake.settings import PROJECT

pytestmark = pytest.mark.unit

#: Begins to write the file named, says so, and waits to be ended.
BEGUN = """
import sys, time
from pathlib import Path
from loglake.cli.signals import ending_in_order
from loglake.files import replacing
with ending_in_order(), replacing(Path(sys.argv[1])) as draft:
    draft.write_text("half")
    print("begun", flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (Column("amount", "numeric", 12, 2), pa.decimal128(12, 2)),
        (Column("ratio", "numeric"), pa.decimal128(38, 10)),
        (Column("at", "timestamptz"), pa.timestamp("us", tz="UTC")),
        (Column("key", "uuid"), pa.string()),
        (Column("items", "jsonb"), pa.string()),
        (Column("load_id", "int8"), pa.int64()),
    ],
)
def test_a_column_has_the_type_of_arrow_that_says_the_same(column: Column, expected: pa.DataType) -> None:
    assert arrow_type(column) == expected


def test_an_unknown_mart_is_refused_with_the_nearest_name() -> None:
    known = {"fact_order": (), "dim_users": ()}
    require(known, "fact_order")
    with pytest.raises(BadInputError, match=r"no mart 'fact_ordr': did you mean fact_order\?"):
        require(known, "fact_ordr")
    with pytest.raises(BadInputError, match="no mart 'x': there are fact_order, dim_users"):
        require(known, "x")


@pytest.mark.parametrize(
    ("named", "output", "expected"),
    [
        (None, None, "csv"),
        (None, Path("a.parquet"), "parquet"),
        (None, Path("a.txt"), "csv"),
        ("parquet", Path("a.csv"), "parquet"),
        (None, Path("-"), "csv"),
    ],
)
def test_the_format_is_as_named_else_by_the_files_ending(named: str | None, output: Path | None, expected: str) -> None:
    assert file_format(named, output) == expected


@pytest.mark.parametrize(("named", "output"), [("xlsx", None), ("parquet", Path("-"))])
def test_a_format_that_cannot_be_written_is_refused(named: str, output: Path | None) -> None:
    with pytest.raises(BadInputError):
        file_format(named, output)


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    target = tmp_path / "new" / "a.csv"
    for text in ("first", "second"):
        with replacing(target) as draft:
            draft.write_text(text)
        assert target.read_text() == text
    assert list(target.parent.iterdir()) == [target]


def test_a_failure_leaves_the_file_as_it_was_and_no_draft(tmp_path: Path) -> None:
    target = tmp_path / "a.csv"
    target.write_text("before")
    with pytest.raises(UnicodeEncodeError), replacing(target) as draft:
        draft.write_text("half" * 10_000 + "\ud800")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["before"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_command_that_is_asked_to_end_leaves_no_draft(tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-c", BEGUN, str(tmp_path / "a.csv")]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        process.send_signal(number)
        assert process.wait(60) != 0
    assert list(tmp_path.iterdir()) == []


def test_a_place_where_no_file_can_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadInputError, match="is a folder: name a file"), replacing(tmp_path):
        pass
    with pytest.raises(BadInputError, match="is no folder"), replacing(tmp_path / "file" / "a.csv"):
        pass
