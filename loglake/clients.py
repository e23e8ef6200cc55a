"""How a client connects to Kafka, HDFS, Postgres and the servers' web pages: one function each, fed by the settings."""

import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import psycopg
import requests
from hdfs.client import InsecureClient
from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError

from loglake.errors import LoglakeError, ServiceError
from loglake.setting_groups import HdfsSettings
from loglake.settings import settings

if TYPE_CHECKING:
    from psycopg_pool import ConnectionPool

TIMEOUT_SECONDS = 10
_READ_TIMEOUT_SECONDS = 60
#: What a client raises when its server is down, refuses, or answers with something else than it should.
ERRORS = (LoglakeError, psycopg.Error, KafkaError, OSError, ValueError, KeyError)


def one_line(error: BaseException) -> str:
    """What an error of a client says, in one line; its class when it says nothing."""
    if isinstance(error, KeyError):
        return f"the answer has no {error}"
    return " ".join(str(error).split()) or type(error).__name__


def listens(address: str) -> bool:
    """Whether something accepts connections at `host:port`."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), TIMEOUT_SECONDS).close()
    except OSError:
        return False
    return True


def postgres(role: str, database: str | None = None, *, autocommit: bool = True, wait_seconds: int = TIMEOUT_SECONDS) -> psycopg.Connection:
    """A connection to the warehouse (or `database`) as one of `settings.ROLES`, in UTC; psycopg.OperationalError when it is down."""
    return psycopg.connect(**_postgres(role, database), autocommit=autocommit, connect_timeout=wait_seconds)


def postgres_pool(role: str, size: int, query_seconds: float, database: str | None = None, *, read_only: bool = False) -> "ConnectionPool":
    """At most `size` connections that threads share, each in autocommit; Postgres ends a query that takes longer than `query_seconds`.

    Whoever waits longer than that for a connection gets psycopg_pool.PoolTimeout, an OperationalError. One that is dead is replaced.
    """
    from psycopg_pool import ConnectionPool

    arguments = _postgres(role, database)
    arguments["options"] += f" -c statement_timeout={int(query_seconds * 1000)}"
    if read_only:
        arguments["options"] += " -c default_transaction_read_only=on"
    return ConnectionPool(
        kwargs={**arguments, "autocommit": True, "connect_timeout": TIMEOUT_SECONDS},
        min_size=0,
        max_size=size,
        timeout=query_seconds,
        max_idle=60,
        # Given up soon: the next who asks begins anew, without the ever longer pauses of a server that was down for long.
        reconnect_timeout=query_seconds,
        check=ConnectionPool.check_connection,
        open=True,
        name=f"loglake-{role}",
    )


def _postgres(role: str, database: str | None) -> dict[str, Any]:
    config = settings().postgres
    return {
        "host": config.host,
        "port": config.port,
        "dbname": database or config.database,
        "user": role,
        "password": config.password(role),
        "options": "-c timezone=UTC",
        "application_name": "loglake",
    }


def postgres_uri(role: str, database: str | None = None) -> str:
    """A libpq URI of the warehouse, for clients that take one (ADBC)."""
    config = settings().postgres
    return f"postgresql://{role}:{quote(config.password(role), safe='')}@{config.host}:{config.port}/{database or config.database}"


def kafka() -> dict[str, Any]:
    """Connection arguments of every kafka-python client."""
    return {"bootstrap_servers": settings().kafka.brokers.split(",")}


def kafka_admin() -> KafkaAdminClient:
    """An admin client, which the caller closes (`with`); ServiceError or a KafkaError when no broker answers."""
    require_broker()
    milliseconds = TIMEOUT_SECONDS * 1000
    return KafkaAdminClient(**kafka(), bootstrap_timeout_ms=milliseconds, request_timeout_ms=milliseconds)


def require_broker() -> None:
    """ServiceError when no broker listens: asked first where it matters that kafka-python leaves its sockets open when it finds none."""
    brokers = settings().kafka.brokers
    if not any(listens(address) for address in brokers.split(",")):
        raise ServiceError(f"no broker answers at {brokers}: see `loglake logs kafka`")


def kafka_for_spark() -> dict[str, str]:
    """Connection options of Spark's Kafka source."""
    return {"kafka.bootstrap.servers": settings().kafka.brokers}


def webhdfs(config: HdfsSettings | None = None) -> InsecureClient:
    """A WebHDFS client; hdfs.HdfsError or requests.ConnectionError when the NameNode is down.

    Spark's tasks hand over the driver's settings: on another machine theirs may say something else.
    """
    config = config or settings().hdfs
    return InsecureClient(config.http_url, user=config.user, timeout=(TIMEOUT_SECONDS, _READ_TIMEOUT_SECONDS), session=web())


def web() -> requests.Session:
    """A session for the servers' own pages and APIs: no proxy of the environment comes between."""
    session = requests.Session()
    session.trust_env = False
    return session


def json_page(url: str) -> Any:
    """What a server's JSON page says; ServiceError when there is none."""
    with web() as session:
        try:
            answer = session.get(url, timeout=TIMEOUT_SECONDS)
            answer.raise_for_status()
            return answer.json()
        except requests.RequestException as error:
            said = type(error).__name__ if error.response is None else f"HTTP {error.response.status_code}"
            raise ServiceError(f"no answer from {url.partition('?')[0]} ({said}): see `loglake status`") from error
