"""What containers take is read as the docker client prints it; without one the error says what to do."""

import stat
from pathlib import Path

import pytest

from bench import containers
from bench.idle import Usage
from loglake.errors import ServiceError

pytestmark = pytest.mark.unit
LINE = '{"Name":"loglake-%s-1","CPUPerc":"%s","MemUsage":"%s / 1GiB"}'


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A docker client on PATH, whose text is the test's to write."""
    program = tmp_path / "docker"
    program.touch(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return program


@pytest.mark.parametrize(("text", "size"), [("12.5MiB ", 13_107_200), ("1.2kB", 1200), ("0B", 0), ("2GiB", 2**31)])
def test_a_size_is_read_as_the_docker_client_writes_it(text: str, size: int) -> None:
    assert containers.size(text) == size


def test_a_service_has_its_greatest_memory_and_the_mean_of_its_cores(client: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_text("\n".join((LINE % ("kafka", "10.00%", "64MiB"), LINE % ("monitor", "0.00%", "1GiB"))))
    second.write_text("\n".join((LINE % ("kafka", "30.00%", "32MiB"), LINE % ("monitor", "--", "--"))))
    names = "loglake-kafka-1 kafka\nloglake-monitor-1 monitor"
    client.write_text(f"""#!/bin/sh
case $1 in
    ps) echo '{names}' ;;
    stats) cat {first}; cp {second} {first} ;;
esac
""")
    moments = iter((0.0, 0.5, 2.0))
    monkeypatch.setattr(containers.time, "monotonic", lambda: next(moments))
    assert containers.measure(1) == {"kafka": Usage(64, pytest.approx(0.2)), "monitor": Usage(1024, 0)}


@pytest.mark.parametrize(
    ("script", "said"),
    [("exit 0", "no container of docker-compose.yaml runs: docker compose up"), ("echo no daemon >&2; exit 1", "docker ps: no daemon")],
)
def test_nothing_to_measure_is_said(client: Path, script: str, said: str) -> None:
    client.write_text(f"#!/bin/sh\n{script}\n")
    with pytest.raises(ServiceError, match=said):
        containers.measure(0)


def test_no_client_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ServiceError, match="no docker in PATH"):
        containers.measure(0)
