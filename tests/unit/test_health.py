"""The service checks: what they make of a server's answer, and that an unreachable server is a status, not an exception."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from loglake import health
from loglake.errors import ServiceError, SettingsError
from loglake.setting_groups import StreamSettings
from loglake.settings import settings
from stack.airflow import heartbeat_lack

pytestmark = pytest.mark.unit


def partition(index: int, leader: int = 1) -> dict[str, Any]:
    return {"partition_index": index, "leader_id": leader}


def test_topic_with_leaders_is_fit() -> None:
    topics = [{"name": "LogEvents", "error_code": 0, "partitions": [partition(0), partition(1)]}]
    assert health.topic_detail("LogEvents", topics) == "topic LogEvents, 2 partitions with a leader"


def test_partition_without_leader_is_named() -> None:
    topics = [{"name": "LogEvents", "error_code": 0, "partitions": [partition(0), partition(1, leader=-1)]}]
    with pytest.raises(ServiceError, match="no leader for partition 1"):
        health.topic_detail("LogEvents", topics)


def test_unknown_topic_says_what_to_do() -> None:
    topics = [{"name": "LogEvents", "error_code": 3, "partitions": []}]
    with pytest.raises(ServiceError, match="LOGLAKE_KAFKA_TOPIC"):
        health.topic_detail("LogEvents", topics)


def namenode(state: str = "Operational", nodes: int = 1, ha: str = "active") -> list[dict[str, Any]]:
    """The two beans a NameNode answers with."""
    return [{"tag.HAState": ha}, {"tag.HAState": ha, "FSState": state, "NumLiveDataNodes": nodes}]


def test_namenode_with_datanodes_is_fit() -> None:
    assert health.namenode_detail(namenode(nodes=3)) == "3 live DataNode(s)"


@pytest.mark.parametrize(
    ("beans", "reason"),
    [
        (namenode(state="safeMode"), "state safeMode"),
        (namenode(nodes=0), "no live DataNode"),
        (namenode(ha="standby"), "no NameNode is active"),
    ],
)
def test_namenode_that_takes_no_writes_is_not(beans: list[dict[str, Any]], reason: str) -> None:
    with pytest.raises(ServiceError, match=reason):
        health.namenode_detail(beans)


def test_standby_namenode_does_not_hide_the_active_one() -> None:
    assert health.namenode_detail(namenode(state="safeMode", ha="standby") + namenode(nodes=2)) == "2 live DataNode(s)"


def test_master_with_a_worker_is_fit() -> None:
    state = {"status": "ALIVE", "aliveworkers": 1, "coresused": 2, "cores": 4}
    assert health.master_detail(state) == "1 worker(s), 2 of 4 cores in use"


@pytest.mark.parametrize(
    ("state", "reason"), [({"status": "STANDBY"}, "STANDBY"), ({"status": "ALIVE", "aliveworkers": 0}, "no live worker")]
)
def test_master_without_power_is_not(state: dict[str, Any], reason: str) -> None:
    with pytest.raises(ServiceError, match=reason):
        health.master_detail(state)


def test_fresh_heartbeat_with_lag_is_fit() -> None:
    assert health.heartbeat_detail((timedelta(seconds=9), 5000), StreamSettings()) == "reported 9 s ago, lag 5000 records"


@pytest.mark.parametrize(("trigger", "age", "fit"), [(10, 59, True), (10, 61, False), (30, 61, True), (30, 181, False), (1, 59, True)])
def test_heartbeat_may_be_six_triggers_old_and_at_least_a_minute(trigger: float, age: int, fit: bool) -> None:
    config = StreamSettings(trigger_seconds=trigger)
    if fit:
        assert health.heartbeat_detail((timedelta(seconds=age), 0), config)
    else:
        with pytest.raises(ServiceError, match=f"reported {age} s ago"):
            health.heartbeat_detail((timedelta(seconds=age), 0), config)


def test_stream_that_never_ran_is_not_fit() -> None:
    with pytest.raises(ServiceError, match="never reported"):
        health.heartbeat_detail(None, StreamSettings())


def test_require_names_every_broken_service() -> None:
    statuses = [health.Status("Kafka", False, "refused"), health.Status("HDFS", True, "fine"), health.Status("stream", False, "old")]
    with pytest.raises(ServiceError) as raised:
        health.require(statuses)
    assert str(raised.value) == "Kafka: refused; stream: old"


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (ConnectionRefusedError("connection\nrefused"), "connection refused"),
        (SettingsError("no password for the Postgres role monitor"), "no password for the Postgres role monitor"),
        (KeyError("FSState"), "the answer has no 'FSState'"),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_a_check_never_raises(monkeypatch: pytest.MonkeyPatch, error: Exception, detail: str) -> None:
    def fails() -> str:
        raise error

    monkeypatch.setitem(health.QUESTIONS, "Postgres", fails)
    assert health.check("Postgres") == health.Status("Postgres", False, detail)


NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seen", "lack"),
    [
        (None, "no heartbeat since the start"),
        (NOW - timedelta(minutes=11), "no heartbeat since the start"),
        (NOW - timedelta(seconds=31), "last heartbeat 31 s ago"),
        (NOW - timedelta(seconds=3), ""),
    ],
)
def test_airflow_component_needs_a_fresh_heartbeat_of_this_start(seen: datetime | None, lack: str) -> None:
    assert heartbeat_lack(seen, since=NOW - timedelta(minutes=10), now=NOW) == lack


def test_a_broker_that_is_down_is_named_with_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGLAKE_KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    settings.cache_clear()
    try:
        status = health.check("Kafka")
    finally:
        settings.cache_clear()
    assert status == health.Status("Kafka", False, "no broker answers at 127.0.0.1:1: see `loglake logs kafka`")
