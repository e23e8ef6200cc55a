"""Every service of the embedded stack, in the order they are started."""

import sys
from datetime import datetime

import psycopg

from loglake import clients
from stack import airflow, hdfs, kafka, postgres, spark
from stack.service import Service

STREAM = "lake"
#: A stream that refuses to start (its position would not be safe) says why and must not be started again.
_REFUSED = 2


def services() -> tuple[Service, ...]:
    """All services; the settings of this moment are written into them."""
    return (postgres.service(), kafka.service(), *hdfs.services(), *spark.services(), lake_stream(), *airflow.services())


def lake_stream() -> Service:
    """The stream from Kafka into the lake."""
    return Service(
        name="lake-stream",
        title="Spark stream: Kafka into the lake",
        command=(sys.executable, "-m", "consumers.lake_stream"),
        environment=spark.environment(),
        probe=stream_probe,
        gate_seconds=240.0,
        stop_seconds=60,
        final_exit_codes=(0, _REFUSED),
    )


def stream_probe(started: datetime) -> str:
    """Content when the stream has finished a trigger since its process was started."""
    try:
        with clients.postgres("monitor") as connection:
            row = connection.execute("select seen_at from ops.stream_heartbeat where stream = %s", [STREAM]).fetchone()
    except psycopg.OperationalError as error:
        return str(error).strip().splitlines()[-1]
    return "" if row and row[0] > started else "the stream has not finished a trigger yet"
