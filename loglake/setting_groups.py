"""The settings of servers and stages, one frozen class each; those of operations are in `loglake.operation_settings`.

`loglake.settings` reads them from the environment and checks them.
The environment variable of a field is its class's prefix plus its name in capitals: `LOGLAKE_KAFKA_PORT=19092`.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, NonNegativeFloat, PositiveFloat, PositiveInt, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from loglake.errors import SettingsError

PROJECT = Path(__file__).resolve().parent.parent
LOOPBACK = "127.0.0.1"
#: Postgres roles, least privilege each; `postgres` is the superuser, for `loglake up`, the server's health gate and measurements.
ROLES = ("postgres", "lake_catalog", "loader", "dbt", "monitor", "bi_reader", "airflow")


def _absolute(path: Path) -> Path:
    if not path.is_absolute():
        raise ValueError("an absolute path is needed")
    return path


AbsolutePath = Annotated[Path, AfterValidator(_absolute)]
PortNumber = Annotated[int, Field(ge=1, le=65535)]
_ADDRESSES = r"^([^\s,]+:\d+(,[^\s,]+:\d+)*)?$"


class Group(BaseSettings):
    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_file=PROJECT / ".env")


class RuntimeSettings(Group):
    """Where run-time state lives: data, logs, jars, pids and secrets, all under one ignored folder."""

    model_config = SettingsConfigDict(env_prefix="LOGLAKE_")
    runtime_dir: AbsolutePath = Field(PROJECT / ".loglake", description="folder of data, logs and generated secrets; an absolute path")
    jars_dir: AbsolutePath = Field(PROJECT / ".loglake" / "jars", description="folder of the servers' jars; an absolute path")
    java_home: AbsolutePath | None = Field(None, description="JDK or JRE 17 to use; the `java` of PATH when unset")
    secrets_file: AbsolutePath = Field(
        default_factory=lambda known: known["runtime_dir"] / "secrets.env",
        description="file of the generated secrets, for its owner's eyes only; an absolute path, in the runtime folder when unset",
    )
    listen: str = Field(LOOPBACK, description="address the servers listen on; another than 127.0.0.1 only in a container of its own")
    min_free_disk_gib: NonNegativeFloat = Field(3.0, description="`up` refuses to start with less free disk than this")

    @property
    def data_dir(self) -> Path:
        return self.runtime_dir / "data"

    @property
    def logs_dir(self) -> Path:
        return self.runtime_dir / "logs"


class KafkaSettings(Group):
    model_config = SettingsConfigDict(env_prefix="LOGLAKE_KAFKA_")
    host: str = Field(LOOPBACK, description="address of the embedded broker, for its clients")
    port: PortNumber = Field(9092, description="port of the embedded broker")
    controller_port: PortNumber = Field(9093, description="port of the embedded broker's KRaft controller")
    outside_port: PortNumber = Field(29092, description="port of the embedded broker for clients outside of its network")
    outside_address: str = Field("", pattern=_ADDRESSES, description="HOST:PORT at which those clients reach that port; closed when empty")
    bootstrap_servers: str = Field("", pattern=_ADDRESSES, description="HOST:PORT list with commas; the embedded broker when empty")
    topic: str = Field("LogEvents", description="topic of the events")
    partitions: PositiveInt = Field(2, description="partitions of the topic; `up` adds those that are lacking, never takes one away")
    replication: PositiveInt = Field(1, description="replicas of each partition, when the topic is created")
    retention_hours: PositiveInt = Field(168, description="how long the topic keeps a record, when the topic is created")
    heap: str = Field("320m", description="Java heap of the embedded broker")

    @property
    def brokers(self) -> str:
        return self.bootstrap_servers or f"{self.host}:{self.port}"


class HdfsSettings(Group):
    model_config = SettingsConfigDict(env_prefix="LOGLAKE_HDFS_")
    namenode_host: str = Field(LOOPBACK, description="address of the embedded NameNode, for its clients")
    datanode_host: str = Field(LOOPBACK, description="address of the embedded DataNode, for its clients")
    namenode_port: PortNumber = Field(8020, description="RPC port of the embedded NameNode")
    namenode_http_port: PortNumber = Field(9870, description="port of the embedded NameNode's web UI and WebHDFS")
    datanode_port: PortNumber = Field(9866, description="data port of the embedded DataNode")
    datanode_http_port: PortNumber = Field(9864, description="WebHDFS port of the embedded DataNode")
    datanode_ipc_port: PortNumber = Field(9867, description="RPC port of the embedded DataNode")
    name_service: str = Field("", description="file system URI, e.g. hdfs://nameservice1; the embedded NameNode when empty")
    web_url: str = Field("", description="WebHDFS URL list (`;` between NameNodes); the embedded NameNode when empty")
    page_url: str = Field("", description="address of the NameNode's web page in links for people; as the clients' when empty")
    replication: PositiveInt = Field(1, description="replicas of each block")
    user: str = Field("loglake", description="HDFS user name of every client")
    heap: str = Field("256m", description="Java heap of NameNode and DataNode, each")

    @property
    def uri(self) -> str:
        return self.name_service or f"hdfs://{self.namenode_host}:{self.namenode_port}"

    @property
    def http_url(self) -> str:
        return self.web_url or f"http://{self.namenode_host}:{self.namenode_http_port}"

    @property
    def page(self) -> str:
        return self.page_url or self.http_url.split(";")[0]


class PostgresSettings(Group):
    model_config = SettingsConfigDict(env_prefix="LOGLAKE_POSTGRES_")
    host: str = Field(LOOPBACK, description="address of the server")
    port: PortNumber = Field(5432, description="port of the server")
    database: str = Field("loglake", description="database of the warehouse")
    catalog_database: str = Field("lake_catalog", description="database of the Iceberg catalog")
    airflow_database: str = Field("airflow", description="database of Airflow's metadata")
    shared_buffers: str = Field("512MB", description="page cache of the embedded server")
    postgres_password: SecretStr = Field(SecretStr(""), description="password of the Postgres role postgres; `up` generates it")
    lake_catalog_password: SecretStr = Field(SecretStr(""), description="password of the Postgres role lake_catalog; `up` generates it")
    loader_password: SecretStr = Field(SecretStr(""), description="password of the Postgres role loader; `up` generates it")
    dbt_password: SecretStr = Field(SecretStr(""), description="password of the Postgres role dbt; `up` generates it")
    monitor_password: SecretStr = Field(SecretStr(""), description="password of the Postgres role monitor; `up` generates it")
    bi_reader_password: SecretStr = Field(SecretStr(""), description="password of the Postgres role bi_reader; `up` generates it")
    airflow_password: SecretStr = Field(SecretStr(""), description="password of the Postgres role airflow; `up` generates it")

    def password(self, role: str) -> str:
        """The password of one of ROLES, in clear text; SettingsError when it was never generated."""
        secret: SecretStr = getattr(self, f"{role}_password")
        if not secret.get_secret_value():
            raise SettingsError(
                f"no password for the Postgres role {role}: run `loglake up` once, or set LOGLAKE_POSTGRES_{role.upper()}_PASSWORD"
            )
        return secret.get_secret_value()

    def jdbc_url(self, database: str) -> str:
        return f"jdbc:postgresql://{self.host}:{self.port}/{database}"


class SparkSettings(Group):
    model_config = SettingsConfigDict(env_prefix="LOGLAKE_SPARK_")
    master: str = Field("", description="master URL (spark://…, yarn, k8s://…); the embedded standalone master when empty")
    host: str = Field(LOOPBACK, description="address of the embedded master, for its clients")
    worker_host: str = Field(LOOPBACK, description="address of the embedded worker and its executors, for master and drivers")
    driver_host: str = Field(LOOPBACK, description="address of a driver that this machine runs, for master and executors")
    master_port: PortNumber = Field(7077, description="port of the embedded master")
    master_ui_port: PortNumber = Field(8080, description="port of the embedded master's web UI")
    worker_ui_port: PortNumber = Field(8081, description="port of the embedded worker's web UI")
    worker_cores: PositiveInt = Field(4, description="task slots the embedded worker offers: 2 for the stream, 2 for the batch")
    worker_memory: str = Field("3g", description="memory the embedded worker offers to executors")
    daemon_heap: str = Field("192m", description="Java heap of master and worker, each")
    page_url: str = Field("", description="address of the master's web page in links for people; as the clients' when empty")

    @property
    def master_url(self) -> str:
        return self.master or f"spark://{self.host}:{self.master_port}"

    @property
    def ui_url(self) -> str:
        return f"http://{self.host}:{self.master_ui_port}"

    @property
    def page(self) -> str:
        return self.page_url or self.ui_url


class LakeSettings(Group):
    model_config = SettingsConfigDict(env_prefix="LOGLAKE_LAKE_")
    path: str = Field("/lake", description="folder of the Iceberg warehouse on HDFS")
    checkpoints: str = Field("/checkpoints", description="folder of stream checkpoints on HDFS")
    compression: str = Field("zstd", description="Parquet codec of the lake's data files")
    target_file_mib: PositiveInt = Field(128, description="size a data file is written and compacted up to, in MiB")


class StreamSettings(Group):
    model_config = SettingsConfigDict(env_prefix="LOGLAKE_STREAM_")
    trigger_seconds: PositiveFloat = Field(10.0, description="time between the starts of two micro-batches")
    max_offsets_per_trigger: PositiveInt = Field(
        500_000, description="bounds memory, not rate: a micro-batch costs 1.4 s before its first row"
    )
    max_payload_bytes: PositiveInt = Field(512 * 1024, description="a larger record is a reject (too_large)")
    cores: PositiveInt = Field(2, description="task slots of the stream")
    driver_memory: str = Field("512m", description="Java heap of the stream's driver")
    executor_memory: str = Field("768m", description="Java heap of the stream's executor")
    ui_port: PortNumber = Field(4040, description="port of the stream's Spark UI")


class LiveSettings(Group):
    """The stream of live windows: Spark in its own process, beside the cluster, so that it takes no cores from stream and load."""

    model_config = SettingsConfigDict(env_prefix="LOGLAKE_LIVE_")
    trigger_seconds: PositiveFloat = Field(1.0, description="time between the starts of two micro-batches")
    max_offsets_per_trigger: PositiveInt = Field(20_000, description="records of a micro-batch at most; all of them are in memory")
    lateness_seconds: PositiveFloat = Field(120.0, description="a window takes events until the newest event is so long after its end")
    keep_hours: PositiveFloat = Field(2.0, description="windows are removed when they are older than this")
    latest_events: PositiveInt = Field(200, description="so many of the newest records are kept in live.latest_event")
    driver_memory: str = Field("512m", description="Java heap of the live stream; Spark wants 450m at least")


class LoadSettings(Group):
    model_config = SettingsConfigDict(env_prefix="LOGLAKE_LOAD_")
    cores: PositiveInt = Field(2, description="task slots of a load, and the number of its parallel COPYs")
    driver_memory: str = Field("512m", description="Java heap of a load's driver")
    executor_memory: str = Field("768m", description="Java heap of a load's executor")
    lock_timeout_seconds: PositiveFloat = Field(60.0, description="how long a second loader waits for the first before it leaves")


class AirflowSettings(Group):
    model_config = SettingsConfigDict(env_prefix="LOGLAKE_AIRFLOW_")
    host: str = Field(LOOPBACK, description="address of the API server, for its clients")
    port: PortNumber = Field(8082, description="port of the UI and the API")
    page_url: str = Field("", description="address of the UI in links for people; as the clients' when empty")
    auth: Literal["simple", "fab"] = Field(
        "simple", description="who checks a log-in: simple (one user, from the settings) or fab (users with roles, in Airflow's database)"
    )
    user: str = Field("airflow", description="log-in name of the UI; with fab, of its first user, who is an admin")
    password: SecretStr = Field(SecretStr("airflow"), description="its password; with fab, its first one")
    schedule: str = Field(
        "*/10 * * * *", description="cron expression of the batch DAG, in UTC; a sixth field is seconds: `* * * * * */30` is every 30 s"
    )
    jwt_secret: SecretStr = Field(SecretStr(""), description="secret behind the keys of Airflow's tokens; `up` generates it")
    fernet_key: SecretStr = Field(SecretStr(""), description="key of secrets in Airflow's database; `up` generates it")

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def page(self) -> str:
        return self.page_url or self.url


class PrivacySettings(Group):
    model_config = SettingsConfigDict(env_prefix="LOGLAKE_PRIVACY_")
    key: SecretStr = Field(
        SecretStr(""), description="secret behind the pseudonyms in the marts; `up` generates it, and the warehouse keeps its first one"
    )
