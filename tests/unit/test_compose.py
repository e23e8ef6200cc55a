"""docker-compose.yaml says of each service what the embedded stack says of it, and hardens it."""

import re
from typing import Any

import pytest
import yaml

from loglake.operation_settings import ComposeSettings
from loglake.settings import PROJECT, settings
from stack import airflow
from stack.service import Service
from stack.services import services

_UNITS = {"k": 2**10, "m": 2**20, "g": 2**30}
_LIMIT = 12 * 2**30
#: They run once, or only for show.
_ODD = {"secrets", "generator"}
#: Whom the compose file lets reach which network; who is not named here must not be in it.
NETWORKS = {
    "kafka": {"kafka", "spark-worker", "lake-stream", "live-stream", "airflow-scheduler", "metrics", "generator"},
    "hdfs": {"namenode", "datanode", "spark-worker", "lake-stream", "airflow-scheduler", "metrics"},
}


@pytest.fixture(scope="module")
def file() -> dict[str, Any]:
    return yaml.safe_load((PROJECT / "docker-compose.yaml").read_text())


def of_stack() -> tuple[Service, ...]:
    return (*services(), airflow.triggerer())


def seconds(text: str) -> int:
    return int(text.removesuffix("s"))


def test_each_service_of_the_stack_is_there_and_no_other(file: dict[str, Any]) -> None:
    assert set(file["services"]) - _ODD == {service.name for service in of_stack()}


@pytest.mark.parametrize("service", of_stack(), ids=lambda service: service.name)
def test_a_service_is_started_ordered_and_stopped_as_in_the_stack(file: dict[str, Any], service: Service) -> None:
    said = file["services"][service.name]
    assert said["command"] == f"loglake serve {service.name}"
    gates = {name: gate["condition"] for name, gate in said.get("depends_on", {}).items()}
    assert {name for name, condition in gates.items() if condition == "service_healthy"} == set(service.after)
    assert seconds(said.get("stop_grace_period", "10s")) > service.stop_seconds
    inside = {int(port.rpartition(":")[2]) for port in said.get("ports", [])}
    assert inside <= {port.number for port in service.ports} | {settings().kafka.outside_port}
    assert all(port.startswith("127.0.0.1:") for port in said.get("ports", []))


def test_each_service_is_hardened_and_all_fit_the_memory(file: dict[str, Any]) -> None:
    total = 0
    for name, said in file["services"].items():
        assert said["read_only"] is True, name
        assert said["cap_drop"] == ["ALL"], name
        assert said["security_opt"] == ["no-new-privileges:true"], name
        assert said["init"] is True, name
        assert "user" not in said, f"{name} runs as the image's user, who is not root"
        if name != "secrets":  # which has ended before the others start
            total += int(said["mem_limit"][:-1]) * _UNITS[said["mem_limit"][-1]]
    assert total <= _LIMIT
    assert re.search(r"^USER loglake$", (PROJECT / "Dockerfile").read_text(), re.MULTILINE)


def test_only_those_who_need_it_are_in_a_network(file: dict[str, Any]) -> None:
    for network, allowed in NETWORKS.items():
        assert {name for name, said in file["services"].items() if network in said.get("networks", [])} == allowed
    for network, options in file["networks"].items():
        members = [name for name, said in file["services"].items() if network in said.get("networks", [])]
        assert options.get("internal") or len(members) == 1, f"{network} is open, and {members} would reach each other"


def test_secrets_are_mounted_only_where_they_are_used(file: dict[str, Any]) -> None:
    holders = {name for name, said in file["services"].items() if any(volume.startswith("secrets:") for volume in said.get("volumes", []))}
    without = {"kafka", "namenode", "datanode", "spark-master", "spark-worker", "generator"}
    assert holders == set(file["services"]) - without


def test_the_variables_of_the_file_are_settings_with_the_same_defaults(file: dict[str, Any]) -> None:
    defaults = {f"LOGLAKE_{name.upper()}": str(field.default) for name, field in ComposeSettings.model_fields.items()}
    used = dict(re.findall(r"\$\{(\w+):-([^}]*)\}", (PROJECT / "docker-compose.yaml").read_text()))
    assert used == defaults
    assert file["name"] == "loglake"


def test_the_image_is_of_this_version_and_built_with_the_same_tool() -> None:
    dockerfile, project = (PROJECT / "Dockerfile").read_text(), (PROJECT / "pyproject.toml").read_text()
    version = re.search(r'^version = "(.+)"$', project, re.MULTILINE)
    assert version
    assert f'image.version="{version[1]}"' in dockerfile
    assert f"image: loglake:{version[1]}" in (PROJECT / "docker-compose.yaml").read_text()
    uv = re.search(r"^UV := (.+)$", (PROJECT / "Makefile").read_text(), re.MULTILINE)
    assert uv
    assert f"ARG UV={uv[1]}" in dockerfile
