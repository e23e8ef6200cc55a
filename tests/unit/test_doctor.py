"""The doctor: each problem is provoked, found, and told with what to do."""

import json
import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from loglake.cli.doctor import doctor
from loglake.columns import LAKE_COLUMNS
from loglake.errors import ServiceError, SettingsError
from loglake.setting_groups import HdfsSettings
from loglake.settings import LOOPBACK, PROJECT, generate_secrets, settings
from stack import checks, doctor_machine, doctor_servers
from stack import doctor as stack_doctor
from stack.daemon import Daemon
from stack.finding import Finding
from stack.service import Port, Service
from stack.status import Row

pytestmark = pytest.mark.unit


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("LOGLAKE_RUNTIME_DIR", str(tmp_path / "runtime"))
    settings.cache_clear()
    yield tmp_path / "runtime"
    settings.cache_clear()


def service(port: int) -> Service:
    return Service(name="web", title="", command=(), probe=lambda _: "", ports=(Port(port, "LOGLAKE_WEB_PORT"),))


def levels(findings: list[Finding]) -> list[str]:
    return [finding.level for finding in findings]


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        number: int = server.getsockname()[1]
    return number


def test_a_file_of_secrets_that_others_can_read_is_a_problem(runtime: Path) -> None:
    assert levels(doctor_machine.secret_files()) == ["skipped"]
    generate_secrets()
    assert levels(doctor_machine.secret_files()) == ["ok"]

    (runtime / "secrets.env").chmod(0o640)

    (found,) = doctor_machine.secret_files()
    assert (found.level, "has mode 0640" in found.detail) == ("problem", True)
    assert found.fix.startswith(f"`chmod 600 {runtime / 'secrets.env'}`")


@pytest.mark.usefixtures("runtime")
@pytest.mark.parametrize("name", ["LOGLAKE_SLACK_WEBHOOK_URL", "LOGLAKE_SMTP_PASSWORD", "LOGLAKE_LINEAGE_API_KEY", "LOGLAKE_PRIVACY_KEY"])
def test_secrets_in_the_users_own_file_are_that_users_alone(tmp_path: Path, name: str) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("LOGLAKE_KAFKA_PORT=19092\n")
    dotenv.chmod(0o644)
    assert levels(doctor_machine.secret_files(dotenv)) == ["skipped"]
    dotenv.write_text(f"{name}=x\n")

    (found,) = doctor_machine.secret_files(dotenv)

    assert (found.level, found.detail) == ("problem", f"{dotenv} has mode 0644: others can read it")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
def test_a_file_of_secrets_of_another_user_is_a_problem(runtime: Path) -> None:
    generate_secrets()
    os.chown(runtime / "secrets.env", 65534, 65534)

    (found,) = doctor_machine.secret_files()

    assert (found.level, found.fix) == ("problem", f"`chown 0 {runtime / 'secrets.env'}`")


def test_a_port_that_somebody_else_has_is_a_problem_that_names_the_setting(runtime: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]
        (taken,) = doctor_machine.ports([service(number)], Daemon(runtime))
    (free,) = doctor_machine.ports([service(number)], Daemon(runtime))

    assert (taken.level, taken.fix) == ("problem", "stop it or set LOGLAKE_WEB_PORT")
    assert f"port {number} (web) is taken by pid {os.getpid()}" in taken.detail
    assert free.level == "ok"


def test_a_port_of_this_stack_is_no_problem(runtime: Path, free_port: int) -> None:
    listen = f"import socket, time; s = socket.create_server(('127.0.0.1', {free_port})); time.sleep(600)"
    with subprocess.Popen((sys.executable, "-c", listen), env={**os.environ, "LOGLAKE_STACK": str(runtime)}) as ours:
        try:
            deadline = time.monotonic() + 20
            while not checks.listeners(free_port) and time.monotonic() < deadline:
                time.sleep(0.05)
            found = doctor_machine.ports([service(free_port)], Daemon(runtime))
        finally:
            ours.kill()

    assert levels(found) == ["ok"]


def test_one_port_for_two_servers_is_a_problem(runtime: Path) -> None:
    (found,) = doctor_machine.ports([service(1), Service("b", "", (), lambda _: "", ports=(Port(1, "LOGLAKE_B_PORT"),))], Daemon(runtime))

    assert (found.level, found.fix) == ("problem", "set one of them to another port")


def test_a_package_that_is_not_as_locked_is_a_problem(tmp_path: Path) -> None:
    assert doctor_machine.packages().level == "ok"
    lock = tmp_path / "requirements.lock"
    lock.write_text("psutil==0.0.1 \\\n    --hash=sha256:0\nno-such-package==1 \\\n")

    found = doctor_machine.packages(lock)

    assert found.level == "problem"
    assert found.detail == f"psutil is {psutil.__version__}, locked is 0.0.1 (and 1 more)"


def test_jars_that_were_not_fetched_are_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGLAKE_JARS_DIR", str(tmp_path))
    settings.cache_clear()

    found = doctor_machine.servers_jars()

    settings.cache_clear()
    assert (found.level, found.fix) == ("problem", "`loglake jars`")


@pytest.mark.parametrize(
    ("variable", "value", "check", "fix"),
    [
        ("LOGLAKE_MIN_FREE_DISK_GIB", "1e9", doctor_machine.disk, "make room"),
        ("LOGLAKE_JAVA_HOME", "/nowhere", doctor_machine.java_runtime, "apt-get install openjdk-17"),
    ],
)
@pytest.mark.usefixtures("runtime")
def test_what_a_start_would_refuse_is_a_problem(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, check: object, fix: str
) -> None:
    monkeypatch.setenv(variable, value)
    settings.cache_clear()
    doctor_machine.java.java.cache_clear()

    found = check()  # type: ignore[operator]

    doctor_machine.java.java.cache_clear()
    assert found.level == "problem"
    assert found.fix.startswith(fix)


def test_a_folder_too_long_for_a_socket_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGLAKE_RUNTIME_DIR", str(tmp_path / ("deep" * 25)))
    settings.cache_clear()

    found = doctor_machine.runtime_folder()

    settings.cache_clear()
    assert (found.level, found.fix) == ("warning", "set LOGLAKE_RUNTIME_DIR to a shorter path")


def test_a_clock_that_went_back_is_a_problem(runtime: Path) -> None:
    assert doctor_machine.clock().level == "ok"
    (runtime / "logs").mkdir(parents=True)
    log = runtime / "logs" / "kafka.log"
    log.touch()
    os.utime(log, (time.time() + 3600, time.time() + 3600))

    found = doctor_machine.clock()

    assert found.level == "problem"
    assert "the clock was set back" in found.detail


def test_a_limit_of_few_open_files_is_a_warning() -> None:
    # In a process of its own: a hard limit that was lowered cannot be raised again by everybody.
    code = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256)); from stack import doctor_machine; "
    shown = subprocess.run(
        (sys.executable, "-c", code + "print(doctor_machine.open_files())"), cwd=PROJECT, capture_output=True, text=True, check=True
    )

    assert "level='warning', detail='at most 256 a process'" in shown.stdout
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] >= 4096:
        assert doctor_machine.open_files().level == "ok"


def test_without_setpriv_nothing_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    assert levels(doctor_machine.setpriv()) == ["ok"]
    monkeypatch.setenv("PATH", "/nowhere")

    (found,) = doctor_machine.setpriv()

    assert (found.level, found.fix) == ("problem", "apt-get install util-linux")


def test_data_of_another_postgres_are_a_problem(tmp_path: Path) -> None:
    marker = tmp_path / "PG_VERSION"
    assert doctor_servers.data_version(marker, "18.4").level == "skipped"
    marker.write_text("18\n")
    assert doctor_servers.data_version(marker, "18.4").level == "ok"

    assert doctor_servers.data_version(marker, "19.1").level == "problem"


@pytest.mark.parametrize(("held", "level"), [("0002", "ok"), ("0001", "problem"), (None, "problem"), ("0003", "problem")])
def test_a_warehouse_of_another_release_is_a_problem(held: str | None, level: str) -> None:
    found = doctor_servers.version_finding(held, ["0001", "0002"])

    assert found.level == level
    assert ("newer release" in found.fix) is (held == "0003")


def test_columns_that_the_lake_lacks_are_a_problem_and_those_it_has_beyond_a_warning() -> None:
    names = [column.name for column in LAKE_COLUMNS]
    schemas = [{"schema-id": 0, "fields": []}, {"schema-id": 1, "fields": [{"name": name} for name in names]}]
    current = doctor_servers.lake_names({"current-schema-id": 1, "schemas": schemas})

    assert levels(doctor_servers.column_findings(current)) == ["ok"]
    lacking = doctor_servers.column_findings(current - {"latency_ms"} | {"colour"})
    assert [(found.level, found.detail) for found in lacking] == [
        ("problem", "the table lacks latency_ms of the contract"),
        ("warning", "the contract does not know colour"),
    ]


@pytest.mark.parametrize(("there", "level"), [(1, "problem"), (2, "ok"), (3, "warning")])
def test_a_topic_should_have_the_partitions_of_the_settings(there: int, level: str) -> None:
    assert doctor_servers.partition_finding(there, 2).level == level


def test_services_that_are_not_healthy_are_problems_and_stopped_ones_warnings() -> None:
    def row(name: str, state: str, error: str = "") -> Row:
        return Row(name, "", state, None, None, None, 0, error, "")

    assert levels(doctor_servers.service_findings([row("kafka", "running")])) == ["ok"]
    found = doctor_servers.service_findings([row("kafka", "unhealthy", "no leader"), row("metrics", "stopped"), row("postgres", "running")])
    assert [(one.level, one.detail) for one in found] == [
        ("problem", "kafka is unhealthy (no leader)"),
        ("warning", "metrics is not running"),
    ]


def test_a_server_that_does_not_listen_is_skipped_and_one_that_answers_wrongly_is_a_problem(free_port: int) -> None:
    def refuse() -> Finding:
        raise ServiceError("no leader")

    (down,) = doctor_servers.asked("kafka topic", f"127.0.0.1:{free_port}", refuse)
    with socket.create_server(("127.0.0.1", free_port)):
        (wrong,) = doctor_servers.asked("kafka topic", f"127.0.0.1:{free_port}", refuse)

    assert down.level == "skipped"
    assert (wrong.level, wrong.detail) == ("problem", "no leader")


def test_a_name_service_is_asked_at_the_addresses_of_the_settings() -> None:
    assert doctor_servers.namenodes(HdfsSettings()) == [f"{LOOPBACK}:{HdfsSettings().namenode_http_port}"]
    assert doctor_servers.namenodes(HdfsSettings(web_url="http://nn1:9870;https://nn2")) == ["nn1:9870", "nn2:443"]
    with pytest.raises(SettingsError, match="LOGLAKE_HDFS_WEB_URL cannot be used: 'nn1:9870' is no"):
        doctor_servers.namenodes(HdfsSettings(web_url="nn1:9870"))


def loglake(*arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    command = (str(Path(sys.executable).with_name("loglake")), *arguments)
    return subprocess.run(command, env={**os.environ, **variables}, cwd=PROJECT, capture_output=True, text=True, check=False)


def test_the_command_says_what_to_do_and_exits_with_1(runtime: Path) -> None:
    generate_secrets()
    (runtime / "secrets.env").chmod(0o644)

    shown = loglake("doctor", "--json")

    found = {one["check"]: one for one in json.loads(shown.stdout)}
    assert shown.returncode == 1
    assert {name for name, one in found.items() if one["level"] == "problem"} >= {"secrets"}
    assert found["python"]["level"] == "ok"
    assert found["services"]["level"] == "skipped"


def test_a_slip_of_the_pen_in_a_setting_is_a_finding_and_not_the_end_of_the_command() -> None:
    shown = loglake("doctor", LOGLAKE_KAFKA_PROT="1")

    assert shown.returncode == 1
    assert "there is no setting LOGLAKE_KAFKA_PROT" in shown.stdout
    assert "do: did you mean LOGLAKE_KAFKA_PORT?" in shown.stdout


def test_only_warnings_exit_with_0(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(stack_doctor, "examine", lambda: iter([Finding("cores", "warning", "1", "a second core")]))

    doctor()

    assert "warning" in capsys.readouterr().out
