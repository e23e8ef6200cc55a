"""One line for a server that does not answer, whichever client met it."""

#: Base class of a client library's error (as `module.Class`) and the server it speaks of.
_SERVERS = {
    "psycopg.OperationalError": "Postgres",
    "requests.exceptions.ConnectionError": "a web page of the stack (HDFS, Spark or Airflow)",
    "requests.exceptions.Timeout": "a web page of the stack (HDFS, Spark or Airflow)",
    "hdfs.util.HdfsError": "HDFS",
    "kafka.errors.KafkaError": "Kafka",
}


def explain(error: BaseException) -> str | None:
    """What is down and what to do, for an error of a client library; None for any other error.

    Told by the names of the error's classes, so that the command line need not import every client.
    """
    for base in type(error).__mro__:
        server = _SERVERS.get(f"{base.__module__}.{base.__name__}")
        if server:
            first = str(error).strip().splitlines() or [type(error).__name__]
            return f"{server} does not answer as it should ({first[0][:200]}): see `loglake status`, start it with `loglake up`"
    return None
