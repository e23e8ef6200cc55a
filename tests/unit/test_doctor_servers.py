"""The doctor on the servers: what they hold and say that does not fit this release or the settings."""

import socket
from pathlib import Path

import pytest

from loglake.columns import LAKE_COLUMNS
from loglake.errors import ServiceError, SettingsError
from loglake.setting_groups import HdfsSettings
from loglake.settings import LOOPBACK
from stack import doctor_servers
from stack.finding import Finding
from stack.status import Row

pytestmark = pytest.mark.unit


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

    assert [found.level for found in doctor_servers.column_findings(current)] == ["ok"]
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

    assert [one.level for one in doctor_servers.service_findings([row("kafka", "running")])] == ["ok"]
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
