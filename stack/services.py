"""Every service of the embedded stack, each behind those it needs."""

import sys
from datetime import datetime

from loglake import clients
from loglake.settings import settings
from loglake.topic import LAKE_STREAM
from stack import airflow, hdfs, kafka, metrics, monitor, postgres, spark
from stack.service import Service

#: A stream that refuses to start (its position would not be safe) says why and must not be started again.
_REFUSED = 2


def services() -> tuple[Service, ...]:
    """All services, but for servers that the settings say are elsewhere; the settings of this moment are written into them."""
    config = settings()
    brokers = () if config.kafka.bootstrap_servers else (kafka.service(),)
    nodes = () if config.hdfs.name_service else hdfs.services()
    cluster = () if config.spark.master else spark.services()
    return (postgres.service(), *brokers, *nodes, *cluster, lake_stream(), *airflow.services(), metrics.service(), monitor.service())


def lake_stream() -> Service:
    """The stream from Kafka into the lake."""
    return Service(
        name="lake-stream",
        title="Spark stream: Kafka into the lake",
        command=(sys.executable, "-m", "consumers.lake_stream"),
        environment=spark.environment(),
        probe=stream_probe,
        after=("postgres", "kafka", "datanode", "spark-worker"),
        gate_seconds=240.0,
        # The signal is for the stream alone: it lets its batch finish (for up to 60 s), for which it needs its JVM.
        stop_group=False,
        stop_seconds=90,
        final_exit_codes=(0, _REFUSED),
    )


def stream_probe(started: datetime) -> str:
    """Content when the stream has reported since its process was started: its query runs."""
    with clients.postgres("monitor") as connection:
        row = connection.execute("select seen_at from ops.stream_heartbeat where stream = %s", [LAKE_STREAM]).fetchone()
    return "" if row and row[0] > started else "the stream has not reported yet"
