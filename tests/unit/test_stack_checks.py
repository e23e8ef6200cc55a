"""Checks before a start, and the lines a user reads when one fails."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from loglake.errors import ServiceError, SettingsError
from loglake.settings import settings
from stack import checks, java, postgres, spark
from stack.service import Port, Service

pytestmark = pytest.mark.unit


def test_port_line_names_service_holder_and_setting() -> None:
    line = checks.taken(9092, "kafka", "LOGLAKE_KAFKA_PORT", "pid 123 (java)")

    assert line == "port 9092 (kafka) is taken by pid 123 (java): stop it or set LOGLAKE_KAFKA_PORT"


def test_taken_port_is_refused_and_a_free_one_is_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        service = Service(name="web", title="", command=(), probe=lambda _: "", ports=(Port(port, "LOGLAKE_WEB_PORT"),))
        with pytest.raises(ServiceError, match=rf"port {port} \(web\) is taken by pid \d+ .* set LOGLAKE_WEB_PORT"):
            checks.ports([service])

    checks.ports([service])


def test_one_port_for_two_servers_is_refused() -> None:
    def service(*ports: Port) -> Service:
        return Service(name="", title="", command=(), probe=lambda _: "", ports=ports)

    checks.distinct_ports([service(Port(1, "A"), Port(2, "B")), service(Port(3, "C"))])

    with pytest.raises(SettingsError, match="A and C are both 1: set one of them to another port"):
        checks.distinct_ports([service(Port(1, "A"), Port(2, "B")), service(Port(1, "C"))])


def test_a_worker_too_small_for_stream_and_load_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGLAKE_STREAM_CORES", "3")
    settings.cache_clear()
    with pytest.raises(SettingsError, match=r"LOGLAKE_SPARK_WORKER_CORES is 4, .* are 5 together"):
        spark.services()
    settings.cache_clear()


@pytest.mark.parametrize("content", ["{other}\n{data}\n", "", "999999999\n"])
def test_a_lock_of_postgres_whose_server_is_gone_is_removed(tmp_path: Path, content: str) -> None:
    # After a crash of the machine the number in it may be another process's: here, this one's.
    (tmp_path / "postmaster.pid").write_text(content.format(other=os.getpid(), data=tmp_path))

    postgres.drop_stale_lock(tmp_path)
    postgres.drop_stale_lock(tmp_path)

    assert not (tmp_path / "postmaster.pid").exists()


def test_a_lock_of_a_living_postgres_stays(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "input(print(flush=True))", "-D", str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        server.stdout.readline()  # /proc has no command line of a process that is only just starting
        (tmp_path / "postmaster.pid").write_text(f"{server.pid}\n{tmp_path}\n")
        postgres.drop_stale_lock(tmp_path)
        server.kill()
    assert (tmp_path / "postmaster.pid").exists()


def test_root_without_a_user_for_postgres_is_told() -> None:
    with pytest.raises(ServiceError, match="Postgres does not run as root, and there is no user nobody-here"):
        postgres.dropped_to("nobody-here", ["postgres"])


def test_full_disk_names_the_settings(tmp_path: Path) -> None:
    checks.disk(tmp_path, 0.0)

    with pytest.raises(ServiceError, match=r"LOGLAKE_RUNTIME_DIR.*LOGLAKE_MIN_FREE_DISK_GIB"):
        checks.disk(tmp_path, 1e9)


@pytest.mark.parametrize(
    ("output", "major"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('openjdk version "21" 2023-09-19', 21),
        ('java version "1.8.0_392"', 8),
        ('Picked up JAVA_TOOL_OPTIONS: -Xmx1g\nopenjdk version "17.0.1" 2021-10-19', 17),
        ("java: command not found", None),
    ],
)
def test_java_version_is_read(output: str, major: int | None) -> None:
    assert java.parse_major(output) == major


def test_jvm_command_puts_options_before_the_class(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(java, "java", lambda: Path("/jre/bin/java"))

    command = java.command("kafka.Kafka", [Path("/conf"), "/jars/*"], "320m", "-Da=b")

    assert command[:2] == ("/jre/bin/java", "-Xmx320m")
    assert command[-4:] == ("-Da=b", "-cp", "/conf:/jars/*", "kafka.Kafka")
