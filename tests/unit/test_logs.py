"""One log format: what a line holds, which ids it names, and how its message is read back."""

import json
import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from loglake import logs, models
from loglake.errors import ServiceError
from loglake.jobs import run_job
from loglake.settings import PROJECT, settings
from stack import airflow
from stack import logs as stack_logs

pytestmark = pytest.mark.unit
_LINE = re.compile(
    r'ts=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z level=[A-Z]+ logger=[\w.]+ event=("(?:[^"\\]|\\.)*"|\S+)( \w+=("(?:[^"\\]|\\.)*"|\S*))*'
)
_AWKWARD = 'load 3: "50 %" = half \\ of it\nand a second line'


@pytest.fixture(autouse=True)
def no_ids() -> Iterator[None]:
    structlog.contextvars.clear_contextvars()
    yield
    structlog.contextvars.clear_contextvars()


def record(message: str, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord("loglake.x", logging.WARNING, "", 1, message, (), None)
    made.__dict__.update(extra)
    return made


@pytest.mark.parametrize("style", ["logfmt", "json"])
@pytest.mark.parametrize("message", ["plain", "two words", "a=b", 'a "quoted" word', "back\\slash in words", "ends\\", ""])
def test_what_a_line_says_is_read_back(style: str, message: str) -> None:
    assert logs.event_of(logs.formatter(style).format(record(message))) == message


@pytest.mark.parametrize("style", ["logfmt", "json"])
def test_a_message_of_several_lines_is_one_line(style: str) -> None:
    line = logs.formatter(style).format(record(_AWKWARD))

    assert "\n" not in line
    assert logs.event_of(line) == _AWKWARD.replace("\n", " ")


def test_a_line_of_logfmt_names_time_level_logger_event_and_the_ids() -> None:
    logs.bind(run_id="manual__1", load_id=7)

    line = logs.formatter("logfmt").format(record("two words", batch_id=4))

    assert _LINE.fullmatch(line), line
    assert line.endswith('level=WARNING logger=loglake.x event="two words" run_id=manual__1 load_id=7 batch_id=4')


def test_a_line_of_json_has_the_same_fields() -> None:
    logs.bind(run_id="manual__1", load_id=7)

    found = json.loads(logs.formatter("json").format(record(_AWKWARD, batch_id=4)))

    assert list(found)[:4] == ["ts", "level", "logger", "event"]
    assert (found["event"], found["run_id"], found["load_id"], found["batch_id"]) == (_AWKWARD, "manual__1", 7, 4)


def test_an_exception_is_a_field_of_its_line() -> None:
    failed = record("it failed")
    failed.exc_info = (ServiceError, ServiceError("no broker"), None)

    line = logs.formatter("logfmt").format(failed)

    assert "\n" not in line
    assert "ServiceError: no broker" in line


def test_lines_of_others_are_left_as_they_are() -> None:
    for line in ("ERROR disk is full", '{"load_id": 1}', '{"ts": broken', 'ts=1 level=WARN logger=X event="says "no" twice"', ""):
        assert logs.event_of(line) == line


SPEAKS = """
import logging
from loglake import logs
logs.configure()
logs.bind(load_id=7)
logging.getLogger("spark_jobs.load").info("two words")
logging.getLogger("a.library").info("not wanted")
logging.getLogger("a.library").warning("a library's")
"""


def spoken(monkeypatch: pytest.MonkeyPatch, **variables: str) -> list[str]:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    done = subprocess.run((sys.executable, "-c", SPEAKS), cwd=PROJECT, capture_output=True, text=True, check=True)
    return done.stderr.splitlines()


def test_a_child_of_an_airflow_task_names_its_run(monkeypatch: pytest.MonkeyPatch) -> None:
    own, library = spoken(monkeypatch, AIRFLOW_CTX_DAG_RUN_ID="scheduled__2026-03-04T12:00:00+00:00")

    assert own.endswith('logger=spark_jobs.load event="two words" run_id=scheduled__2026-03-04T12:00:00+00:00 load_id=7')
    assert 'event="a library\'s" run_id=scheduled__' in library


def test_outside_of_a_run_one_id_is_made_up_for_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW_CTX_DAG_RUN_ID", raising=False)

    ids = {re.search(r" run_id=(\w{12})\b", line)[1] for line in spoken(monkeypatch)}  # type: ignore[index]

    assert len(ids) == 1


def test_the_setting_makes_it_json_for_airflow_and_dbt_too(monkeypatch: pytest.MonkeyPatch) -> None:
    assert airflow._logging()["json_logs"] == "False"
    assert models.dbt_environment(password="")["DBT_LOG_FORMAT_FILE"] == "debug"
    monkeypatch.setenv("LOGLAKE_LOG_FORMAT", "json")
    settings.cache_clear()

    assert [json.loads(line)["load_id"] for line in spoken(monkeypatch)] == [7, 7]
    assert airflow._logging()["json_logs"] == "True"
    assert models.dbt_environment(password="")["DBT_LOG_FORMAT_FILE"] == "json"
    settings.cache_clear()


def test_status_shows_what_the_last_problem_says_without_its_fields(tmp_path: Path) -> None:
    log = tmp_path / "lake-stream.log"
    for style in ("logfmt", "json"):
        formatter = logs.formatter(style)
        wrong = record("topic LogEvents was made anew (id 7)")
        wrong.levelname = "ERROR"
        log.write_text(f"{formatter.format(record('starting'))}\n{formatter.format(wrong)}\n{formatter.format(record('ending'))}\n")

        assert stack_logs.last_problem(log) == "topic LogEvents was made anew (id 7)"


def test_an_error_in_airflows_json_is_found_and_told_by_its_event(tmp_path: Path) -> None:
    log = tmp_path / "airflow-api.log"
    log.write_text(
        '{"timestamp":"2026","level":"error","event":"no room","logger":"x"}\n{"timestamp":"2026","level":"info","event":"bye"}\n'
    )

    assert stack_logs.last_problem(log) == "no room"


def test_a_failed_job_is_told_in_its_own_words() -> None:
    line = logs.formatter("logfmt").format(record("the range has expired: run `loglake load --full`"))

    with pytest.raises(ServiceError, match=r"^the load ended with exit code 2: the range has expired: run `loglake load --full`$"):
        run_job("the load", (sys.executable, "-c", f"import sys; print({line!r}); sys.exit(2)"))


@pytest.mark.parametrize("name", ["loglake/sparkconf/log4j2.properties", "stack/kafka-log4j2.properties", "hadoop/log4j.properties"])
def test_the_servers_lines_begin_with_the_same_fields(name: str) -> None:
    lines = (PROJECT / name).read_text().splitlines()
    (pattern,) = [line for line in lines if line.lower().split("=")[0].strip().endswith("pattern")]

    assert re.search(r"=\s*ts=\S+\{UTC\} level=\S+ logger=\S+ event=\"", pattern)
