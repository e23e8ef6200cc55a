"""Is each service of the pipeline fit for a batch run? One short question per service, and the state of the warehouse.

Used by the DAG's first tasks, the command line and the monitor. A check never raises: what goes wrong is its `detail`.
"""

import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import psycopg
import requests
from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from loglake import clients
from loglake.errors import ServiceError
from loglake.settings import LOOPBACK, StreamSettings, settings
from loglake.warehouse import LAKE_STREAM

TIMEOUT_SECONDS = 5.0
#: A stream that missed this many triggers, and has been silent for at least a minute, is taken for dead.
_MISSED_TRIGGERS = 6
_LEAST_SILENCE = timedelta(seconds=60)
_NAMENODE_BEANS = "Hadoop:service=NameNode,name=FSNamesystem*"


@dataclass(frozen=True)
class Status:
    """What a check found: `detail` is one line, the reason and what to do when not ok."""

    name: str
    ok: bool
    detail: str


def check_postgres() -> Status:
    """Postgres answers a query on the warehouse."""
    return _status("Postgres", _ask_postgres)


def check_kafka() -> Status:
    """The brokers know the topic, and each of its partitions has a leader."""
    return _status("Kafka", _ask_kafka)


def check_hdfs() -> Status:
    """The active NameNode is out of safe mode and has a live DataNode."""
    return _status("HDFS", _ask_hdfs)


def check_spark() -> Status:
    """The Spark master is alive and has a worker."""
    return _status("Spark", _ask_spark)


def check_stream() -> Status:
    """The stream into the lake finished a trigger lately. Lag alone is no fault: the stream may be catching up."""
    return _status("stream", _ask_stream)


CHECKS: tuple[Callable[[], Status], ...] = (check_postgres, check_spark, check_hdfs, check_kafka, check_stream)


def check_all() -> list[Status]:
    """Every check, at the same time; in the order of CHECKS."""
    with ThreadPoolExecutor(len(CHECKS)) as pool:
        return list(pool.map(lambda check: check(), CHECKS))


def require(statuses: list[Status]) -> None:
    """ServiceError that names every status that is not ok."""
    broken = [f"{status.name}: {status.detail}" for status in statuses if not status.ok]
    if broken:
        raise ServiceError("; ".join(broken))


def _status(name: str, ask: Callable[[], str]) -> Status:
    try:
        return Status(name, True, ask())
    except (ServiceError, psycopg.Error, KafkaError, OSError, ValueError) as error:
        return Status(name, False, " ".join(str(error).split()) or type(error).__name__)


def _ask_postgres() -> str:
    with clients.postgres("monitor") as connection:
        version = connection.info.server_version
        connection.execute("select 1 from ops.load_manifest limit 1")
    return f"version {version // 10000}.{version % 10000} answers"


def _ask_kafka() -> str:
    config = settings().kafka
    # Asked first because kafka-python leaves its sockets open when no broker can be reached.
    if not any(_listens(address) for address in config.brokers.split(",")):
        raise ServiceError(f"no broker answers at {config.brokers}: see `loglake logs kafka`")
    limit = int(TIMEOUT_SECONDS * 1000)
    admin = KafkaAdminClient(**clients.kafka(), bootstrap_timeout_ms=limit, request_timeout_ms=limit)
    try:
        topics = admin.describe_topics([config.topic])
    finally:
        admin.close()
    return topic_detail(config.topic, topics)


def topic_detail(name: str, topics: list[dict[str, Any]]) -> str:
    """One line about the topic in the brokers' answer; ServiceError when it is missing or a partition has no leader."""
    found = next((topic for topic in topics if topic["name"] == name and not topic["error_code"]), None)
    if found is None:
        raise ServiceError(f"the brokers do not know the topic {name}: run `loglake up`, or set LOGLAKE_KAFKA_TOPIC")
    orphans = sorted(part["partition_index"] for part in found["partitions"] if part["leader_id"] < 0)
    if orphans:
        raise ServiceError(f"topic {name} has no leader for partition {', '.join(map(str, orphans))}")
    return f"topic {name}, {len(found['partitions'])} partitions with a leader"


def _ask_hdfs() -> str:
    beans: list[dict[str, Any]] = []
    failures: list[str] = []
    for url in settings().hdfs.http_url.split(";"):
        try:
            beans += _json(f"{url}/jmx?qry={_NAMENODE_BEANS}")["beans"]
        except ServiceError as error:
            failures.append(str(error))
    if not beans:
        raise ServiceError("; ".join(failures) or "the NameNode tells nothing about itself")
    return namenode_detail(beans)


def namenode_detail(beans: list[dict[str, Any]]) -> str:
    """One line about HDFS from the NameNodes' FSNamesystem beans; ServiceError when nobody may write."""
    active = [bean for bean in beans if bean.get("tag.HAState", "active") == "active"]
    facts = {key: value for bean in active for key, value in bean.items()}
    if "FSState" not in facts:
        raise ServiceError("no NameNode is active")
    if facts["FSState"] != "Operational":
        raise ServiceError(f"the NameNode is in state {facts['FSState']}: wait, or see `loglake logs namenode`")
    if facts["NumLiveDataNodes"] < 1:
        raise ServiceError("no live DataNode: see `loglake logs datanode`")
    return f"{facts['NumLiveDataNodes']} live DataNode(s)"


def _ask_spark() -> str:
    config = settings().spark
    if not config.master:
        return master_detail(_json(f"http://{LOOPBACK}:{config.master_ui_port}/json/"))
    if not config.master.startswith("spark://"):
        return f"{config.master} is asked for resources by each job itself"
    answering = [address for address in urlsplit(config.master).netloc.split(",") if _listens(address)]
    if not answering:
        raise ServiceError(f"no master answers at {config.master}")
    return f"{answering[0]} answers"


def _listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), TIMEOUT_SECONDS).close()
    except OSError:
        return False
    return True


def master_detail(state: dict[str, Any]) -> str:
    """One line about a standalone master from its `/json/` page; ServiceError when it cannot give work to anyone."""
    if state["status"] != "ALIVE":
        raise ServiceError(f"the Spark master is {state['status']}")
    if state["aliveworkers"] < 1:
        raise ServiceError("the Spark master has no live worker: see `loglake logs spark-worker`")
    return f"{state['aliveworkers']} worker(s), {state['coresused']} of {state['cores']} cores in use"


def _ask_stream() -> str:
    query = "select now() - seen_at, lag from ops.stream_heartbeat where stream = %s"
    with clients.postgres("monitor") as connection:
        row = connection.execute(query, [LAKE_STREAM]).fetchone()
    return heartbeat_detail(row, settings().stream)


def heartbeat_detail(row: tuple[timedelta, int] | None, config: StreamSettings) -> str:
    """One line about the stream from its heartbeat's (age, lag); ServiceError when there is none, or an old one."""
    if row is None:
        raise ServiceError("the stream has never reported: see `loglake logs lake-stream`")
    age, lag = row
    limit = max(_LEAST_SILENCE, timedelta(seconds=_MISSED_TRIGGERS * config.trigger_seconds))
    if age > limit:
        silence, allowed = age.total_seconds(), limit.total_seconds()
        raise ServiceError(f"the stream last reported {silence:.0f} s ago (allowed: {allowed:.0f} s): see `loglake logs lake-stream`")
    return f"reported {max(age.total_seconds(), 0):.0f} s ago, lag {lag} records"


def _json(url: str) -> Any:
    # No proxy of the environment: these addresses are the stack's own.
    with requests.Session() as session:
        session.trust_env = False
        try:
            response = session.get(url, timeout=TIMEOUT_SECONDS)
        except requests.RequestException as error:
            raise ServiceError(f"no answer from {url.partition('?')[0]} ({type(error).__name__}): see `loglake status`") from error
    if response.status_code != requests.codes.ok:
        raise ServiceError(f"{url} answers {response.status_code}")
    return response.json()
