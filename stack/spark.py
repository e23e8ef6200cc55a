"""Spark standalone: a master and a worker, both from the PySpark wheel."""

from datetime import datetime
from pathlib import Path

from loglake import clients, health, spark_environment
from loglake.errors import SettingsError
from loglake.settings import settings
from stack import java, wheels
from stack.service import Port, Service

SPARK_HOME = wheels.folder("pyspark")
#: Seconds between sweeps of the worker's folder, and how long a finished application's files are kept.
_SWEEP, _KEEP = 1800, 6 * 3600


def environment() -> dict[str, str]:
    """What master, worker and the executors it starts need; on one machine every address is loopback."""
    options = [
        "-XX:+UseSerialGC",
        "-XX:-UsePerfData",
        "-Dspark.master.rest.enabled=false",
        "-Dspark.worker.cleanup.enabled=true",
        f"-Dspark.worker.cleanup.interval={_SWEEP}",
        f"-Dspark.worker.cleanup.appDataTtl={_KEEP}",
        "-Dspark.ui.retainedApplications=50",
        "-Dspark.deploy.retainedApplications=50",
        "-Dspark.worker.ui.retainedExecutors=50",
    ]
    return {
        **java.ENVIRONMENT,
        "JAVA_HOME": str(java.java_home()),
        "SPARK_HOME": str(SPARK_HOME),
        **spark_environment.common(),
        "SPARK_NO_DAEMONIZE": "1",
        "SPARK_DAEMON_MEMORY": settings().spark.daemon_heap,
        "SPARK_DAEMON_JAVA_OPTS": " ".join(options),
    }


def services() -> tuple[Service, Service]:
    """The master, then the worker. SettingsError when the worker has no cores for the stream and a load at the same time."""
    config = settings().spark
    _require_cores()
    address = ("--host", config.host, "--port", str(config.master_port), "--webui-port", str(config.master_ui_port))
    size = ("--host", config.worker_host, "--cores", str(config.worker_cores), "--memory", config.worker_memory)
    places = ("--work-dir", str(_work_folder()), "--webui-port", str(config.worker_ui_port))
    master = Service(
        name="spark-master",
        title="Spark master",
        command=_spark_class("master.Master", *address),
        environment=environment(),
        probe=master_probe,
        ports=(Port.of(config, "master_port"), Port.of(config, "master_ui_port")),
        url=config.page,
    )
    worker = Service(
        name="spark-worker",
        title="Spark worker",
        command=_spark_class("worker.Worker", *size, *places, config.master_url),
        environment=environment(),
        probe=worker_probe,
        after=(master.name,),
        ports=(Port.of(config, "worker_ui_port"),),
        url=f"http://{config.worker_host}:{config.worker_ui_port}",
        prepare=_make_folders,
    )
    return master, worker


def master_probe(_started: datetime) -> str:
    """Content when the master says it is alive."""
    state = clients.json_page(f"{settings().spark.ui_url}/json/")["status"]
    return "" if state == "ALIVE" else f"the master is {state.lower()}"


def worker_probe(_started: datetime) -> str:
    """Content when the master counts a live worker."""
    health.ask_spark()
    return ""


def _spark_class(main_class: str, *arguments: str) -> tuple[str, ...]:
    return (str(SPARK_HOME / "bin" / "spark-class"), f"org.apache.spark.deploy.{main_class}", *arguments)


def _work_folder() -> Path:
    return settings().runtime.data_dir / "spark" / "work"


def _make_folders() -> None:
    _work_folder().mkdir(parents=True, exist_ok=True)
    (settings().runtime.data_dir / "spark" / "local").mkdir(parents=True, exist_ok=True)


def _require_cores() -> None:
    config = settings()
    needed = config.stream.cores + config.load.cores
    if config.spark.worker_cores < needed:
        raise SettingsError(
            f"LOGLAKE_SPARK_WORKER_CORES is {config.spark.worker_cores}, but LOGLAKE_STREAM_CORES and LOGLAKE_LOAD_CORES are "
            f"{needed} together: a load would wait for the stream's cores for ever"
        )
