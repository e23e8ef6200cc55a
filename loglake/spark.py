"""How a job gets its Spark session: one function, fed by the settings; the same code on one machine and on a cluster."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyspark
from pyspark.sql import SparkSession

from loglake import clients, spark_environment
from loglake.errors import ServiceError, SettingsError
from loglake.settings import export, settings
from loglake.tables import CATALOG, FULL_NAME

_EXTENSIONS = "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions"
#: A Postgres that restarts (57P01 admin shutdown, 57P02 crash, 57P03 starting up) is worth another try.
_RETRYABLE = "57P01,57P02,57P03"


def session(name: str, cores: int, driver_memory: str, executor_memory: str, ui_port: int | None = None) -> SparkSession:
    """A session with the lake's catalog `lake`; `ui_port` None means no web UI. SettingsError when the jars are missing."""
    config = settings()
    _reach(config.spark.master_url)
    export(**environment())
    builder = SparkSession.builder.appName(name).master(config.spark.master_url)
    for key, value in _options(cores, driver_memory, executor_memory, ui_port).items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("WARN")
    # Set here and not above: what the builder is given shows on the JVM's command line.
    spark.conf.set(f"spark.sql.catalog.{CATALOG}.jdbc.password", config.postgres.password("lake_catalog"))
    return spark


def local_session(name: str, memory: str) -> SparkSession:
    """A session within this process, with one core and without the lake: it takes nothing of the cluster. SettingsError as `session`."""
    export(**environment())
    builder = SparkSession.builder.appName(name).master("local[1]")
    for key, value in {**_of_any_session(memory, 1, None), "spark.driver.extraClassPath": f"{_jars_folder()}/*"}.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("WARN")
    return spark


@contextmanager
def batch_session(name: str) -> Iterator[SparkSession]:
    """A session of the size of a load (`LOGLAKE_LOAD_…`), stopped at the end."""
    config = settings().load
    spark = session(name, config.cores, config.driver_memory, config.executor_memory)
    try:
        yield spark
    finally:
        spark.stop()


def _reach(master: str) -> None:
    """ServiceError when no standalone master listens: Spark itself would try for minutes."""
    url = urlsplit(master)
    if url.scheme == "spark" and not any(clients.listens(address) for address in url.netloc.split(",")):
        raise ServiceError(f"the Spark master does not listen at {master}: start it with `loglake up`")


def environment() -> dict[str, str]:
    """What a Spark process of this machine needs in its environment."""
    config = settings()
    variables = {
        "SPARK_HOME": str(Path(pyspark.__file__).parent),
        **spark_environment.common(),
        "HADOOP_USER_NAME": config.hdfs.user,
    }
    if config.runtime.java_home:
        variables["JAVA_HOME"] = str(config.runtime.java_home)
    return variables


def _options(cores: int, driver_memory: str, executor_memory: str, ui_port: int | None) -> dict[str, str]:
    config = settings()
    catalog = f"spark.sql.catalog.{CATALOG}"
    return {
        **_of_any_session(driver_memory, cores, ui_port),
        "spark.executor.memory": executor_memory,
        "spark.executor.cores": str(cores),
        "spark.executor.extraJavaOptions": "-XX:+UseSerialGC",
        "spark.executorEnv.HADOOP_USER_NAME": config.hdfs.user,
        "spark.cores.max": str(cores),
        "spark.sql.extensions": _EXTENSIONS,
        "spark.hadoop.fs.defaultFS": config.hdfs.uri,
        "spark.hadoop.dfs.replication": str(config.hdfs.replication),
        catalog: "org.apache.iceberg.spark.SparkCatalog",
        f"{catalog}.catalog-impl": "org.apache.iceberg.jdbc.JdbcCatalog",
        f"{catalog}.uri": config.postgres.jdbc_url(config.postgres.catalog_database),
        f"{catalog}.jdbc.user": "lake_catalog",
        f"{catalog}.jdbc.schema-version": "V1",
        f"{catalog}.retryable_status_codes": _RETRYABLE,
        f"{catalog}.warehouse": config.hdfs.uri + config.lake.path,
        **_jars(),
    }


def _of_any_session(driver_memory: str, cores: int, ui_port: int | None) -> dict[str, str]:
    """The options of a driver, on a cluster or alone."""
    return {
        "spark.driver.host": settings().spark.driver_host,
        "spark.driver.bindAddress": settings().runtime.listen,
        "spark.driver.memory": driver_memory,
        "spark.driver.extraJavaOptions": "-XX:+UseSerialGC",
        "spark.ui.enabled": str(ui_port is not None).lower(),
        "spark.ui.port": str(ui_port or 0),
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": str(cores),
    }


def _jars() -> dict[str, str]:
    """The embedded stack's processes read the jars in place; a cluster elsewhere is sent them."""
    folder = _jars_folder()
    if settings().spark.master:
        return {"spark.jars": ",".join(str(jar) for jar in sorted(folder.glob("*.jar")))}
    return {"spark.driver.extraClassPath": f"{folder}/*", "spark.executor.extraClassPath": f"{folder}/*"}


def _jars_folder() -> Path:
    folder = settings().runtime.jars_dir / "spark"
    if not folder.is_dir():
        raise SettingsError(f"no Spark jars in {folder}: run `loglake jars`, or set LOGLAKE_JARS_DIR")
    return folder


def iceberg_table(spark: SparkSession) -> Any:
    """The bronze table as Iceberg's own Java object (org.apache.iceberg.Table)."""
    jvm: Any = spark.sparkContext._jvm
    return jvm.org.apache.iceberg.spark.Spark3Util.loadIcebergTable(spark._jsparkSession, FULL_NAME)


def java_iterator(iterable: Any) -> Iterator[Any]:
    """Walk a Java Iterable, which Py4J does not do for classes that are not collections."""
    iterator = iterable.iterator()
    while iterator.hasNext():
        yield iterator.next()
