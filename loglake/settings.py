"""Every setting of loglake: one frozen object per service, read from the environment, `.env` and the generated secrets.

The environment variable of a field is its class's prefix plus its name in capitals: `LOGLAKE_KAFKA_PORT=19092`.
No other module reads the environment.
"""

import os
import secrets
import string
from functools import cache
from pathlib import Path

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from loglake.errors import SettingsError

PROJECT = Path(__file__).resolve().parent.parent
LOOPBACK = "127.0.0.1"
#: Postgres roles, least privilege each; `postgres` is the owner and is used by `loglake up` only.
ROLES = ("postgres", "lake_catalog", "loader", "dbt", "monitor", "bi_reader", "airflow")


class _Settings(BaseSettings):
    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_file=PROJECT / ".env")


class RuntimeSettings(_Settings):
    """Where run-time state lives: data, logs, jars, pids and secrets, all under one ignored folder."""

    model_config = SettingsConfigDict(env_prefix="LOGLAKE_")
    runtime_dir: Path = PROJECT / ".loglake"
    jars_dir: Path = PROJECT / ".loglake" / "jars"
    java_home: Path | None = Field(None, description="JDK or JRE 17 to use; the `java` of PATH when unset")
    min_free_disk_gib: float = Field(3.0, description="`up` refuses to start with less free disk than this")

    @property
    def data_dir(self) -> Path:
        return self.runtime_dir / "data"

    @property
    def logs_dir(self) -> Path:
        return self.runtime_dir / "logs"

    @property
    def secrets_file(self) -> Path:
        return self.runtime_dir / "secrets.env"


class KafkaSettings(_Settings):
    model_config = SettingsConfigDict(env_prefix="LOGLAKE_KAFKA_")
    port: int = 9092
    controller_port: int = 9093
    bootstrap_servers: str = Field("", description="broker list; the embedded broker when empty")
    topic: str = "LogEvents"
    partitions: int = 2
    replication: int = 1
    retention_hours: int = 168
    heap: str = "320m"

    @property
    def brokers(self) -> str:
        return self.bootstrap_servers or f"{LOOPBACK}:{self.port}"


class HdfsSettings(_Settings):
    model_config = SettingsConfigDict(env_prefix="LOGLAKE_HDFS_")
    namenode_port: int = 8020
    namenode_http_port: int = 9870
    datanode_port: int = 9866
    datanode_http_port: int = 9864
    datanode_ipc_port: int = 9867
    name_service: str = Field("", description="file system URI, e.g. hdfs://nameservice1; the embedded NameNode when empty")
    web_url: str = Field("", description="WebHDFS URL list (`;` between NameNodes); the embedded NameNode when empty")
    replication: int = 1
    user: str = Field("loglake", description="HDFS user name of every client")
    heap: str = "256m"

    @property
    def uri(self) -> str:
        return self.name_service or f"hdfs://{LOOPBACK}:{self.namenode_port}"

    @property
    def http_url(self) -> str:
        return self.web_url or f"http://{LOOPBACK}:{self.namenode_http_port}"


class PostgresSettings(_Settings):
    model_config = SettingsConfigDict(env_prefix="LOGLAKE_POSTGRES_")
    host: str = LOOPBACK
    port: int = 5432
    database: str = "loglake"
    catalog_database: str = "lake_catalog"
    airflow_database: str = "airflow"
    shared_buffers: str = "256MB"
    postgres_password: SecretStr = SecretStr("")
    lake_catalog_password: SecretStr = SecretStr("")
    loader_password: SecretStr = SecretStr("")
    dbt_password: SecretStr = SecretStr("")
    monitor_password: SecretStr = SecretStr("")
    bi_reader_password: SecretStr = SecretStr("")
    airflow_password: SecretStr = SecretStr("")

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


class SparkSettings(_Settings):
    model_config = SettingsConfigDict(env_prefix="LOGLAKE_SPARK_")
    master: str = Field("", description="master URL (spark://…, yarn, k8s://…); the embedded standalone master when empty")
    master_port: int = 7077
    master_ui_port: int = 8080
    worker_ui_port: int = 8081
    worker_cores: int = Field(4, description="task slots the embedded worker offers: 2 for the stream, 2 for the batch")
    worker_memory: str = "3g"
    daemon_heap: str = "192m"

    @property
    def master_url(self) -> str:
        return self.master or f"spark://{LOOPBACK}:{self.master_port}"


class LakeSettings(_Settings):
    model_config = SettingsConfigDict(env_prefix="LOGLAKE_LAKE_")
    path: str = Field("/lake", description="folder of the Iceberg warehouse on HDFS")
    checkpoints: str = Field("/checkpoints", description="folder of stream checkpoints on HDFS")
    compression: str = "zstd"
    target_file_mib: int = 128


class StreamSettings(_Settings):
    model_config = SettingsConfigDict(env_prefix="LOGLAKE_STREAM_")
    trigger_seconds: float = 10.0
    max_offsets_per_trigger: int = Field(500_000, description="bounds memory, not rate: a micro-batch costs 1.4 s before its first row")
    max_payload_bytes: int = Field(512 * 1024, description="a larger record is a reject (too_large)")
    cores: int = 2
    driver_memory: str = "512m"
    executor_memory: str = "768m"
    ui_port: int = 4040


class LoadSettings(_Settings):
    model_config = SettingsConfigDict(env_prefix="LOGLAKE_LOAD_")
    cores: int = 2
    driver_memory: str = "512m"
    executor_memory: str = "768m"
    lock_timeout_seconds: float = Field(60.0, description="how long a second loader waits for the first before it leaves")


class AirflowSettings(_Settings):
    model_config = SettingsConfigDict(env_prefix="LOGLAKE_AIRFLOW_")
    port: int = 8082
    scheduler_health_port: int = 8974
    user: str = "airflow"
    password: SecretStr = SecretStr("airflow")
    schedule: str = Field("*/10 * * * *", description="cron expression of the batch DAG")
    jwt_secret: SecretStr = SecretStr("")
    fernet_key: SecretStr = SecretStr("")


class Settings:
    """All services' settings, made once per process by `settings()`."""

    def __init__(self) -> None:
        self.runtime = RuntimeSettings()
        files = (PROJECT / ".env", self.runtime.secrets_file)
        self.kafka = KafkaSettings()
        self.hdfs = HdfsSettings()
        self.postgres = PostgresSettings(_env_file=files)
        self.spark = SparkSettings()
        self.lake = LakeSettings()
        self.stream = StreamSettings()
        self.load = LoadSettings()
        self.airflow = AirflowSettings(_env_file=files)


@cache
def settings() -> Settings:
    """The settings of this process; SettingsError names the variable that cannot be used."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        prefix = {cls.__name__: str(cls.model_config["env_prefix"]) for cls in _Settings.__subclasses__()}[error.title]
        variable = prefix + "_".join(str(part) for part in first["loc"]).upper()
        raise SettingsError(f"setting {variable} cannot be used: {first['msg']} (value {first['input']!r})") from error


def generate_secrets() -> None:
    """Write the secrets that do not exist yet into the runtime folder's 0600 file, atomically; later calls keep it."""
    path = settings().runtime.secrets_file
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    alphabet = string.ascii_letters + string.digits
    names = [f"LOGLAKE_POSTGRES_{role.upper()}_PASSWORD" for role in ROLES] + ["LOGLAKE_AIRFLOW_JWT_SECRET"]
    lines = [f"{name}={''.join(secrets.choice(alphabet) for _ in range(32))}\n" for name in names]
    lines.append(f"LOGLAKE_AIRFLOW_FERNET_KEY={_fernet_key()}\n")
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.writelines(lines)
    draft.rename(path)
    settings.cache_clear()


def _fernet_key() -> str:
    from cryptography.fernet import Fernet

    return Fernet.generate_key().decode()


def child_environment(**extra: str) -> dict[str, str]:
    """The environment for a child process: this one's, with `extra` on top."""
    return {**os.environ, **extra}


def export(**variables: str) -> None:
    """Put variables into this process's environment, for libraries that start processes of their own from it."""
    os.environ.update(variables)
