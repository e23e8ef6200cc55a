"""Checks before a start, and the lines a user reads when one fails."""

import socket
from pathlib import Path

import pytest

from loglake.errors import ServiceError
from stack import checks, java
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
