"""Is each service of the pipeline fit for a batch run? One short question per service.

`check_all` never raises: what goes wrong is a status's `detail`. The health gates of `stack/` ask some of the same questions.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from loglake import clients
from loglake.errors import ServiceError
from loglake.setting_groups import StreamSettings
from loglake.settings import settings
from loglake.topic import LAKE_STREAM

#: A stream that missed this many triggers, and has been silent for at least a minute, is taken for dead.
_MISSED_TRIGGERS = 6
_LEAST_SILENCE = timedelta(seconds=60)
_NAMENODE_BEANS = "Hadoop:service=NameNode,name=FSNamesystem*"


class ServicesDownError(ServiceError):
    """Services are not fit for a run: `statuses` are theirs."""

    def __init__(self, statuses: list["Status"]) -> None:
        super().__init__("; ".join(f"{status.name}: {status.detail}" for status in statuses))
        self.statuses = statuses


@dataclass(frozen=True)
class Status:
    """What a check found: `detail` is one line, the reason and what to do when not ok."""

    name: str
    ok: bool
    detail: str


def check_all() -> list[Status]:
    """Ask every service at the same time; in the order of QUESTIONS."""
    with ThreadPoolExecutor(len(QUESTIONS)) as pool:
        return list(pool.map(check, QUESTIONS))


def check(name: str) -> Status:
    """Ask one service of QUESTIONS."""
    try:
        return Status(name, True, QUESTIONS[name]())
    except clients.ERRORS as error:
        return Status(name, False, clients.one_line(error))


def require(statuses: list[Status]) -> None:
    """ServicesDownError that names every status that is not ok."""
    broken = [status for status in statuses if not status.ok]
    if broken:
        raise ServicesDownError(broken)


def ask_postgres() -> str:
    """Postgres answers a query on the warehouse."""
    with clients.postgres("monitor") as connection:
        version = connection.info.server_version
        connection.execute("select 1 from ops.load_manifest limit 1")
    return f"version {version // 10000}.{version % 10000} answers"


def ask_kafka() -> str:
    """The brokers know the topic, and each of its partitions has a leader."""
    topic = settings().kafka.topic
    with clients.kafka_admin() as admin:
        return topic_detail(topic, admin.describe_topics([topic]))


def topic_detail(name: str, topics: list[dict[str, Any]]) -> str:
    """One line about the topic in the brokers' answer; ServiceError when it is missing or a partition has no leader."""
    found = next((topic for topic in topics if topic["name"] == name and not topic["error_code"]), None)
    if found is None:
        raise ServiceError(f"the brokers do not know the topic {name}: run `loglake up`, or set LOGLAKE_KAFKA_TOPIC")
    orphans = sorted(part["partition_index"] for part in found["partitions"] if part["leader_id"] < 0)
    if orphans:
        raise ServiceError(f"topic {name} has no leader for partition {', '.join(map(str, orphans))}")
    return f"topic {name}, {len(found['partitions'])} partitions with a leader"


def ask_hdfs() -> str:
    """The active NameNode is out of safe mode and has a live DataNode."""
    return namenode_detail(namenode_beans())


def namenode_beans() -> list[dict[str, Any]]:
    """What the NameNodes that answer say of their file system; ServiceError when none does."""
    beans: list[dict[str, Any]] = []
    failures: list[str] = []
    for url in settings().hdfs.http_url.split(";"):
        try:
            beans += clients.json_page(f"{url}/jmx?qry={_NAMENODE_BEANS}")["beans"]
        except ServiceError as error:
            failures.append(str(error))
    if not beans:
        raise ServiceError("; ".join(failures) or "the NameNode tells nothing about itself")
    return beans


def active_namenode(beans: list[dict[str, Any]]) -> dict[str, Any]:
    """What the active one of the NameNodes says, of its FSNamesystem beans; ServiceError when none is active."""
    active = [bean for bean in beans if bean.get("tag.HAState", "active") == "active"]
    facts = {key: value for bean in active for key, value in bean.items()}
    if "FSState" not in facts:
        raise ServiceError("no NameNode is active")
    return facts


def namenode_detail(beans: list[dict[str, Any]]) -> str:
    """One line about HDFS from the NameNodes' FSNamesystem beans; ServiceError when nobody may write."""
    facts = active_namenode(beans)
    if facts["FSState"] != "Operational":
        raise ServiceError(f"the NameNode is in state {facts['FSState']}: wait, or see `loglake logs namenode`")
    if facts["NumLiveDataNodes"] < 1:
        raise ServiceError("no live DataNode: see `loglake logs datanode`")
    return f"{facts['NumLiveDataNodes']} live DataNode(s)"


def ask_spark() -> str:
    """The Spark master is alive and has a worker."""
    config = settings().spark
    if not config.master:
        return master_detail(clients.json_page(f"{config.ui_url}/json/"))
    if not config.master.startswith("spark://"):
        return f"{config.master} is asked for resources by each job itself"
    answering = [address for address in urlsplit(config.master).netloc.split(",") if clients.listens(address)]
    if not answering:
        raise ServiceError(f"no master answers at {config.master}")
    return f"{answering[0]} answers"


def master_detail(state: dict[str, Any]) -> str:
    """One line about a standalone master from its `/json/` page; ServiceError when it cannot give work to anyone."""
    if state["status"] != "ALIVE":
        raise ServiceError(f"the Spark master is {state['status']}")
    if state["aliveworkers"] < 1:
        raise ServiceError("the Spark master has no live worker: see `loglake logs spark-worker`")
    return f"{state['aliveworkers']} worker(s), {state['coresused']} of {state['cores']} cores in use"


def ask_stream() -> str:
    """The stream into the lake reported lately. Lag alone is no fault: the stream may be catching up."""
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


QUESTIONS: dict[str, Callable[[], str]] = {
    "Postgres": ask_postgres,
    "Spark": ask_spark,
    "HDFS": ask_hdfs,
    "Kafka": ask_kafka,
    "stream": ask_stream,
}
