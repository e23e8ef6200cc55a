"""One line for a server that does not answer, whichever client met it, and for a disk that takes nothing more."""

import errno

#: Base class of a client library's error (as `module.Class`) and the server it speaks of.
_SERVERS = {
    "psycopg.OperationalError": "Postgres",
    "adbc_driver_manager.OperationalError": "Postgres",
    "requests.exceptions.ConnectionError": "a web page of the stack (HDFS, Spark or Airflow)",
    "requests.exceptions.Timeout": "a web page of the stack (HDFS, Spark or Airflow)",
    "hdfs.util.HdfsError": "HDFS",
    "kafka.errors.KafkaError": "Kafka",
}
#: What the user mends on the machine: rights, a full disk, a disk that is read-only.
_MACHINE = {errno.EACCES, errno.EPERM, errno.ENOSPC, errno.EDQUOT, errno.EROFS}


def explain(error: BaseException) -> str | None:
    """What is wrong and what to do, for a client library's error or the machine's; None for any other error.

    A client's is told by the names of its classes, so that the command line need not import every client.
    """
    if isinstance(error, OSError) and error.errno in _MACHINE:
        return f"{error.filename or 'the disk'}: {error.strerror}: give the right to write, make room, or name another folder or file"
    for base in type(error).__mro__:
        server = _SERVERS.get(f"{base.__module__}.{base.__name__}")
        if server:
            first = str(error).strip().splitlines() or [type(error).__name__]
            return f"{server} does not answer as it should ({first[0][:200]}): see `loglake status`, start it with `loglake up`"
    return None
