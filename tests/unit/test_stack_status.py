"""What `status` shows, from what supervisor, the health gates and the logs say."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from loglake.cli.stack import duration
from loglake.errors import BadInputError
from stack import lifecycle, logs
from stack.daemon import Process
from stack.service import Port, Service
from stack.status import row

pytestmark = pytest.mark.unit
NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
SERVICE = Service(name="kafka", title="Kafka", command=(), probe=lambda _: "", ports=(Port(9092, "P"), Port(9093, "Q")), url="http://x")


def process(state: str, pid: int = 7) -> Process:
    return Process("kafka", state, pid, NOW - timedelta(seconds=90), "")


def test_running_service() -> None:
    shown = row(SERVICE, process("RUNNING"), "", logs.Exits(), NOW)

    assert (shown.state, shown.port, shown.pid, shown.uptime_seconds, shown.last_error) == ("running", 9092, 7, 90.0, "")


def test_a_service_in_its_first_seconds_runs_once_it_is_healthy() -> None:
    assert row(SERVICE, process("STARTING"), "port 9092: refused", logs.Exits(), NOW).state == "starting"
    assert row(SERVICE, process("STARTING"), "", logs.Exits(), NOW).state == "running"


def test_process_that_lives_but_does_not_answer_is_unhealthy() -> None:
    shown = row(SERVICE, process("RUNNING"), "port 9092: refused", logs.Exits(), NOW)

    assert (shown.state, shown.last_error) == ("unhealthy", "port 9092: refused")


@pytest.mark.parametrize(
    ("state", "shown"), [("BACKOFF", "restarting"), ("FATAL", "failed"), ("EXITED", "exited"), ("STARTING", "starting")]
)
def test_states_by_their_names(state: str, shown: str) -> None:
    assert row(SERVICE, process(state, pid=0), "", logs.Exits(), NOW).state == shown


def test_service_of_a_stack_that_is_down() -> None:
    shown = row(SERVICE, None, "", logs.Exits(), NOW)

    assert (shown.state, shown.pid, shown.uptime_seconds) == ("stopped", None, None)


def test_restarts_are_counted_since_the_last_start() -> None:
    record = """
        2026-03-04 10:00:00,000 WARN exited: kafka (terminated by SIGKILL; not expected)
        2026-03-04 11:00:00,000 INFO supervisord started with pid 5
        2026-03-04 11:01:00,000 WARN exited: kafka (exit status 1; not expected)
        2026-03-04 11:02:00,000 WARN exited: kafka (terminated by SIGKILL; not expected)
        2026-03-04 11:03:00,000 INFO exited: lake-stream (exit status 2; expected)
    """
    found = logs.exits(line.strip() for line in record.splitlines())

    assert found == {"kafka": logs.Exits(2, "terminated by SIGKILL at 2026-03-04 11:02:00")}


def test_last_problem_is_the_last_line_that_speaks_of_one(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_text("INFO start\nERROR disk is full\n\tat Some.frame(A.java:1)\nINFO shutting down\n")

    assert logs.last_problem(log) == "ERROR disk is full"
    assert logs.last_problem(tmp_path / "none.log") == ""


def test_services_are_selected_in_starting_order() -> None:
    services = [SERVICE, Service(name="postgres", title="", command=(), probe=lambda _: "")]

    assert [one.name for one in lifecycle.select(services, ["postgres", "kafka"])] == ["kafka", "postgres"]
    assert lifecycle.select(services, []) == tuple(services)
    with pytest.raises(BadInputError, match="no service 'x': there are kafka, postgres"):
        lifecycle.select(services, ["x"])


@pytest.mark.parametrize(("seconds", "text"), [(None, ""), (41.9, "41s"), (200, "3m 20s"), (7500, "2h 05m"), (356_400, "4d 03h")])
def test_duration(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text
