"""Every service of the embedded stack, each behind those it needs."""

import sys
from datetime import datetime

from loglake import clients, topic
from loglake.settings import settings
from loglake.topic import LAKE_STREAM, LIVE_STREAM
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
    streams = (lake_stream(), live_stream())
    return (postgres.service(), *brokers, *nodes, *cluster, *streams, *airflow.services(), metrics.service(), monitor.service())


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


def live_stream() -> Service:
    """The stream from Kafka into the live windows; Spark within its own process."""
    return Service(
        name="live-stream",
        title="Spark stream: Kafka into the live windows",
        command=(sys.executable, "-m", "consumers.live_stream"),
        environment=spark.environment(),
        probe=live_probe,
        after=("postgres", "kafka"),
        gate_seconds=240.0,
        # As for the lake's stream: the signal is for Python, which needs its JVM to end the batch.
        stop_group=False,
        stop_seconds=45,
    )


def stream_probe(started: datetime, stream: str = LAKE_STREAM) -> str:
    """Content when the stream has reported since its process was started: its query runs."""
    with clients.postgres("monitor") as connection:
        seen = topic.seen_at(connection, stream)
    return "" if seen and seen > started else "the stream has not reported yet"


def live_probe(started: datetime) -> str:
    """The same of the live stream."""
    return stream_probe(started, LIVE_STREAM)
