"""How a client connects to Kafka, HDFS and Postgres: one function each, fed by the settings."""

from typing import Any
from urllib.parse import quote

import psycopg
from hdfs.client import InsecureClient
from kafka.admin import KafkaAdminClient

from loglake.settings import settings

CONNECT_TIMEOUT_SECONDS = 10


def postgres(role: str, database: str | None = None, *, autocommit: bool = True) -> psycopg.Connection:
    """A connection to the warehouse (or `database`) as one of `settings.ROLES`, in UTC; psycopg.OperationalError when it is down."""
    config = settings().postgres
    return psycopg.connect(
        host=config.host,
        port=config.port,
        dbname=database or config.database,
        user=role,
        password=config.password(role),
        autocommit=autocommit,
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        options="-c timezone=UTC",
        application_name="loglake",
    )


def postgres_uri(role: str, database: str | None = None) -> str:
    """A libpq URI of the warehouse, for clients that take one (ADBC)."""
    config = settings().postgres
    return f"postgresql://{role}:{quote(config.password(role))}@{config.host}:{config.port}/{database or config.database}"


def kafka() -> dict[str, Any]:
    """Connection arguments of every kafka-python client."""
    return {"bootstrap_servers": settings().kafka.brokers.split(",")}


def kafka_admin() -> KafkaAdminClient:
    """An admin client; kafka.errors.NoBrokersAvailable when no broker answers."""
    return KafkaAdminClient(**kafka())


def kafka_for_spark() -> dict[str, str]:
    """Connection options of Spark's Kafka source."""
    return {"kafka.bootstrap.servers": settings().kafka.brokers}


def webhdfs() -> InsecureClient:
    """A WebHDFS client; hdfs.HdfsError or requests.ConnectionError when the NameNode is down."""
    config = settings().hdfs
    return InsecureClient(config.http_url, user=config.user, timeout=(CONNECT_TIMEOUT_SECONDS, 60))
