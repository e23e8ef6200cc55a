"""The doctor on this machine: each problem of files, ports and limits is provoked, found, and told with what to do."""

import os
import resource
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from loglake.settings import PROJECT, generate_secrets, settings
from stack import checks, doctor_machine
from stack.daemon import Daemon
from stack.finding import Finding
from stack.service import Port, Service

pytestmark = pytest.mark.unit


def service(port: int) -> Service:
    return Service(name="web", title="", command=(), probe=lambda _: "", ports=(Port(port, "LOGLAKE_WEB_PORT"),))


def levels(findings: list[Finding]) -> list[str]:
    return [finding.level for finding in findings]


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
