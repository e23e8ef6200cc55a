"""The embedded stack as a user meets it: up, status, what dies comes back, down."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
import requests

from loglake import clients
from loglake.settings import settings
from stack import checks
from tests.stackfixture import CORE, EmbeddedStack, embedded_stack
from tests.waiting import wait_for

pytestmark = pytest.mark.integration
SMALL = ("postgres", "spark-master")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStack]:
    """A second stack, apart from the session's, of two services that start fast; these tests make it suffer."""
    with embedded_stack(tmp_path_factory.mktemp("small")) as stack:
        yield stack


def test_status_shows_every_core_service_running(stack: EmbeddedStack) -> None:
    rows = stack.rows()

    assert {name: rows[name]["state"] for name in CORE} == dict.fromkeys(CORE, "running")
    assert all(psutil.pid_exists(rows[name]["pid"]) and rows[name]["uptime_seconds"] > 0 for name in CORE)
    assert rows["kafka"]["port"] == settings().kafka.port


def test_every_server_listens_on_loopback_only(stack: EmbeddedStack) -> None:
    listening = [c for process in stack.family() for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN]

    assert len(listening) > len(CORE)
    assert {c.laddr.ip for c in listening} <= {"127.0.0.1", "::ffff:127.0.0.1"}


def test_topic_is_made_with_the_brokers_clock(stack: EmbeddedStack) -> None:
    from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient

    with KafkaAdminClient(**clients.kafka()) as admin:
        topics = {topic["name"]: topic for topic in admin.describe_topics([settings().kafka.topic])}
        config = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, settings().kafka.topic)], config_filter="all")

    assert len(topics[settings().kafka.topic]["partitions"]) == settings().kafka.partitions
    assert "LogAppendTime" in str(config)


def test_namenode_pages_and_files_over_webhdfs(stack: EmbeddedStack) -> None:
    hdfs = clients.webhdfs()

    hdfs.write("/probe/file.txt", data=b"twelve bytes", overwrite=True)

    with hdfs.read("/probe/file.txt") as reader:
        assert reader.read() == b"twelve bytes"
    assert hdfs.status("/probe/file.txt")["owner"] == settings().hdfs.user
    for page in ("dfshealth.html", "explorer.html"):
        assert "Hadoop" in requests.get(f"{settings().hdfs.http_url}/{page}", timeout=10).text


def test_roles_reach_only_what_they_may(stack: EmbeddedStack) -> None:
    with clients.postgres("monitor") as monitor:
        # Read-only by default, and by right when that is switched off.
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            monitor.execute("delete from raw.log_events")
        monitor.execute("set default_transaction_read_only = off")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            monitor.execute("delete from raw.log_events")
    with clients.postgres("bi_reader") as reader, pytest.raises(psycopg.errors.InsufficientPrivilege):
        reader.execute("select * from raw.log_events")
    with pytest.raises(psycopg.OperationalError):
        clients.postgres("bi_reader", settings().postgres.catalog_database)


def test_sql_opens_psql_as_a_reader(stack: EmbeddedStack) -> None:
    counted = stack.cli("sql", "--", "-Atc", "select current_user, count(*) from ops.load_manifest where false")
    refused = stack.cli("sql", "--", "-v", "ON_ERROR_STOP=1", "-c", "create table public.x ()")

    assert counted.stdout.strip() == "monitor|0"
    assert refused.returncode != 0
    assert "read-only transaction" in refused.stderr


def test_killed_service_comes_back_and_status_says_so(small: EmbeddedStack) -> None:
    small.start(SMALL)
    restarts = small.rows()["spark-master"]["restarts"]
    before = small.kill("spark-master")

    row = small.wait_healthy("spark-master", not_pid=before)

    assert row["restarts"] == restarts + 1
    assert "SIGKILL" in row["last_error"]


def test_killed_postgres_recovers_what_was_committed(small: EmbeddedStack) -> None:
    small.start(["postgres"])
    small.cli("sql", "--role", "loader", "--", "-c", "create table stage.kept as select 42 as answer")
    before = small.kill("postgres")

    small.wait_healthy("postgres", not_pid=before)

    assert small.cli("sql", "--role", "loader", "--", "-Atc", "select answer from stage.kept").stdout.strip() == "42"


def test_up_twice_is_harmless(small: EmbeddedStack) -> None:
    small.start(SMALL)
    pids = [small.pid(name) for name in SMALL]

    again = small.cli("up", "--only", ",".join(SMALL))

    assert again.returncode == 0
    assert again.stdout.count("was running") == len(SMALL)
    assert [small.pid(name) for name in SMALL] == pids


def test_down_leaves_no_process_and_frees_the_ports(small: EmbeddedStack) -> None:
    small.start(SMALL)
    family = small.family()
    assert len(family) > len(SMALL)

    done = small.cli("down")

    assert done.returncode == 0
    assert [process for process in family if process.is_running()] == []
    assert checks.free(int(small.environment["LOGLAKE_POSTGRES_PORT"]))
    assert {row["state"] for row in small.rows().values()} == {"stopped"}
    assert small.cli("down").returncode == 0


def test_up_after_the_supervisor_itself_was_killed(small: EmbeddedStack) -> None:
    small.start(SMALL)
    orphan = small.pid("spark-master")
    os.kill(int((small.runtime / "supervisord.pid").read_text()), signal.SIGKILL)

    small.start(SMALL)

    assert not psutil.pid_exists(orphan)
    assert {small.rows()[name]["state"] for name in SMALL} == {"running"}


def test_up_killed_half_way_then_again(small: EmbeddedStack) -> None:
    command = [str(Path(sys.executable).with_name("loglake")), "up", "--only", ",".join(SMALL)]
    environment = {**os.environ, **small.environment}
    small.cli("down")
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as half:
        wait_for("the supervisor to start", (small.runtime / "supervisord.pid").exists, 60, poll_seconds=0.01)
        assert half.poll() is None, "`up` was to be killed half way"
        half.kill()

    small.start(SMALL)

    assert {small.rows()[name]["state"] for name in SMALL} == {"running"}


def test_taken_port_is_one_line_that_names_the_setting(small: EmbeddedStack) -> None:
    port = int(small.environment["LOGLAKE_KAFKA_PORT"])
    with socket.create_server(("127.0.0.1", port)):
        refused = small.cli("up", "--only", "kafka")

    assert refused.returncode == 1
    assert f"port {port} (kafka) is taken by pid {os.getpid()}" in refused.stderr
    assert "stop it or set LOGLAKE_KAFKA_PORT" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_missing_java_full_disk_and_unknown_service_are_one_line_each(small: EmbeddedStack) -> None:
    no_java = small.cli("up", "--only", "postgres", LOGLAKE_JAVA_HOME="/nowhere")
    no_room = small.cli("up", "--only", "postgres", LOGLAKE_MIN_FREE_DISK_GIB="1e9")
    no_name = small.cli("up", "--only", "zookeeper")

    assert "no java in /nowhere/bin" in no_java.stderr
    assert "LOGLAKE_MIN_FREE_DISK_GIB" in no_room.stderr
    assert "no service 'zookeeper': there are postgres, kafka" in no_name.stderr
    assert [len(done.stderr.strip().splitlines()) for done in (no_java, no_room, no_name)] == [1, 1, 1]


def test_changed_settings_are_refused_while_running(small: EmbeddedStack) -> None:
    small.start(["postgres"])

    refused = small.cli("up", "--only", "postgres", LOGLAKE_POSTGRES_PORT="15001")

    assert refused.returncode == 1
    assert "postgres was started with other settings: run `loglake down`" in refused.stderr


def test_clean_refuses_while_up_and_then_removes_the_data(small: EmbeddedStack) -> None:
    small.start(["postgres"])
    refused = small.cli("clean")
    small.cli("down")

    cleaned = small.cli("clean")

    assert refused.returncode == 1
    assert "run `loglake down` first" in refused.stderr
    assert cleaned.returncode == 0
    assert not (small.runtime / "data").exists()
    assert not (small.runtime / "secrets.env").exists()


def test_logs_prints_the_end_of_a_service_log(small: EmbeddedStack) -> None:
    small.start(["postgres"])

    shown = small.cli("logs", "postgres", "-n", "1000")

    assert "database system is ready to accept connections" in shown.stdout
    assert "no service 'oracle'" in small.cli("logs", "oracle").stderr
