"""What the command line prints and exits with: one line for what went wrong, text as it is, and a demo that does not wait for ever."""

import errno
import subprocess
import sys
from pathlib import Path

import adbc_driver_manager
import hdfs.util
import kafka.errors
import psycopg
import pytest
import requests
import typer

from loglake import lake, topic
from loglake.cli import console, demo, main, outage
from loglake.cli import stack as stack_cli
from loglake.errors import BadInputError, ServiceError
from loglake.settings import PROJECT, settings
from loglake.topic import Bounds
from stack.status import Row

pytestmark = pytest.mark.unit


def exit_code_of(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> int | str | None:
    """What `loglake` exits with when a command raises an error."""
    app = typer.Typer()

    @app.command()
    def command() -> None:
        raise error

    monkeypatch.setattr(main, "app", app)
    monkeypatch.setattr("sys.argv", ["loglake"])
    with pytest.raises(SystemExit) as left:
        main.run()
    return left.value.code


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (BadInputError("[/data/a.csv] is no file, nor [bold]"), 2, "error: [/data/a.csv] is no file, nor [bold]\n"),
        (ServiceError("kafka :key: does not answer"), 1, "error: kafka :key: does not answer\n"),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), 1, "error: /x: Permission denied: give the right to write, "),
        (OSError(errno.ENOSPC, "No space left on device"), 1, "error: the disk: No space left on device: "),
        (psycopg.OperationalError("refused\nmore"), 1, "error: Postgres does not answer as it should (refused): see `loglake status`"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_an_error_is_one_line_and_its_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException, code: int, line: str
) -> None:
    assert exit_code_of(monkeypatch, error) == code
    said = capsys.readouterr().err
    assert said.startswith(line)
    assert said.count("\n") == (1 if line else 0)


@pytest.mark.parametrize(
    ("error", "server"),
    [
        (kafka.errors.KafkaConnectionError(), "Kafka does"),
        (hdfs.util.HdfsError("safe mode"), "HDFS does"),
        (requests.ConnectTimeout(), "a web page of the stack"),
        (adbc_driver_manager.OperationalError("gone", status_code=adbc_driver_manager.AdbcStatusCode.IO), "Postgres does"),
        (FileNotFoundError(errno.ENOENT, "No such file", "x"), None),
        (ZeroDivisionError(), None),
    ],
)
def test_an_outage_is_told_from_a_fault_of_the_program(error: Exception, server: str | None) -> None:
    line = outage.explain(error)
    assert line is None if server is None else line is not None and line.startswith(server)


def test_the_last_error_of_a_service_is_shown_as_it_was_logged(capsys: pytest.CaptureFixture[str]) -> None:
    row = Row("kafka", "", "failed", 9092, None, None, 3, "[main] [/data] :key:", "")

    console.out.print(stack_cli._table([row]))

    assert "[main] [/data] :key:" in capsys.readouterr().out


def test_a_log_that_is_not_there_names_those_that_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGLAKE_RUNTIME_DIR", str(tmp_path))
    settings.cache_clear()
    with pytest.raises(BadInputError, match="no service 'kafka' has a log: there are none, since nothing was started here yet"):
        stack_cli.logs("kafka")
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "postgres.log").touch()
    with pytest.raises(BadInputError, match="no service 'kafka' has a log: there are postgres"):
        stack_cli.logs("kafka")
    settings.cache_clear()


def test_help_is_quick_since_no_stage_and_no_client_is_imported_for_it() -> None:
    unwanted = {"producers", "consumers", "spark_jobs", "stack", "hadoop", "bench", "kafka", "psycopg", "pyspark", "pyarrow", "requests"}
    code = f"import sys, loglake.cli.main; print(sorted({unwanted} & {{name.split('.')[0] for name in sys.modules}}))"

    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"


@pytest.fixture
def stalled(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream that was killed between its commit and its report: the reports lag for ever."""
    monkeypatch.setattr(demo, "_POLL_SECONDS", 0.0)
    monkeypatch.setattr(demo, "_QUIET_SECONDS", 0.0)
    monkeypatch.setattr(topic, "lake_lag", lambda _topic: 7)
    monkeypatch.setattr(topic, "bounds", lambda _topic: {0: Bounds(0, 10), 1: Bounds(4, 9)})
    monkeypatch.setattr(lake, "table", lambda: "the table")


def holds(partitions: dict[int, int]) -> lake.LakeCount:
    """A lake with these last offsets, and rows of another topic."""
    counts = {number: lake.PartitionCount(1, 0, last, 0) for number, last in partitions.items()}
    return lake.LakeCount({settings().kafka.topic: counts, "other": {0: lake.PartitionCount(1, 0, 99, 0)}}, 1, 0)


@pytest.mark.usefixtures("stalled")
def test_the_demo_counts_the_lake_when_the_stream_has_nothing_to_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lake, "count", lambda _table: holds({0: 9, 1: 8}))

    demo._wait_for_lake()


@pytest.mark.usefixtures("stalled")
def test_the_demo_does_not_wait_for_ever_for_a_dead_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "_LAKE_SECONDS", 0.2)
    monkeypatch.setattr(lake, "count", lambda _table: holds({0: 7}))

    with pytest.raises(ServiceError, match=r"after 0 s the stream still lags by 7 records: see `loglake logs lake-stream`"):
        demo._wait_for_lake()
    assert demo.counted_lag(settings().kafka.topic) == 2 + 5
