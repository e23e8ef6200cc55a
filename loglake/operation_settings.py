"""The settings of operations: maintenance, metrics, logs, lineage, alerts and the channels that tell of them."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, SecretStr
from pydantic_settings import SettingsConfigDict

from loglake.setting_groups import LOOPBACK, Group, PortNumber

#: `loglake.alerts.gather.PAST_DAYS`, and the hours of the day that is not over.
_LEAST_PROGRESS_DAYS = 8


def _a_week_or_all(days: int) -> int:
    if 0 < days < _LEAST_PROGRESS_DAYS:
        raise ValueError(f"0 or at least {_LEAST_PROGRESS_DAYS} is needed: the volume alert compares with the days before")
    return days


ProgressDays = Annotated[NonNegativeInt, AfterValidator(_a_week_or_all)]


class MaintenanceSettings(Group):
    """What `loglake maintain` keeps. Where it deletes what users may want to look at again, 0 keeps all."""

    model_config = SettingsConfigDict(env_prefix="LOGLAKE_MAINTENANCE_")
    schedule: str = Field("45 3 * * *", description="cron expression (UTC) of the maintenance DAG: a quiet hour, between two batches")
    minutes: PositiveFloat = Field(5.0, description="compaction begins nothing new after so long, and goes on in the next run")
    min_files: int = Field(5, ge=2, description="a day of the lake is compacted when it has at least so many small data files")
    min_manifests: int = Field(20, ge=2, description="the lake's manifests are rewritten when there are at least so many")
    keep_snapshots: PositiveInt = Field(200, description="so many of the lake's newest snapshots are kept whatever their age")
    keep_snapshot_hours: NonNegativeFloat = Field(1.0, description="snapshots younger than this are kept: somebody may be reading them")
    orphan_hours: float = Field(24.0, ge=1, description="files of the lake that nothing refers to are removed when older than this")
    lake_days: NonNegativeInt = Field(0, description="days (of arrival in Kafka) that the lake is kept beside today; 0: for ever")
    raw_months: NonNegativeInt = Field(0, description="months (of event ids) that raw.log_events is kept beside the current; 0: for ever")
    progress_days: ProgressDays = Field(90, description="days that ops.stream_progress is kept, 8 or more; 0: for ever")
    airflow_days: NonNegativeInt = Field(30, description="days that Airflow's metadata (runs, task instances, XCom) is kept; 0: for ever")
    log_days: NonNegativeInt = Field(30, description="days that Airflow's task logs are kept; 0: for ever")


class MetricsSettings(Group):
    model_config = SettingsConfigDict(env_prefix="LOGLAKE_METRICS_")
    host: str = Field(LOOPBACK, description="address of the Prometheus end point, for its clients")
    port: PortNumber = Field(9108, description="port of the Prometheus end point")
    cache_seconds: NonNegativeFloat = Field(5.0, description="a scrape sooner than this after another gets the same answer")
    timeout_seconds: PositiveFloat = Field(8.0, description="a source that has not answered by then is left out of the scrape")
    books_seconds: PositiveFloat = Field(300.0, description="time between two checks of the books for the end point")

    @property
    def url(self) -> str:
        return self.at("/metrics")

    def at(self, path: str) -> str:
        """The address of a path of the end point's."""
        return f"http://{self.host}:{self.port}{path}"


class MonitorSettings(Group):
    """The Streamlit pages (monitoring/), and what they may ask of Postgres."""

    model_config = SettingsConfigDict(env_prefix="LOGLAKE_MONITOR_")
    port: PortNumber = Field(8501, description="port of the monitor's pages")
    refresh_seconds: float = Field(
        5.0, ge=1, description="time between two refreshes of a page; all viewers share what was read in between"
    )
    query_seconds: PositiveFloat = Field(5.0, description="Postgres ends a query of the monitor that takes longer")
    connections: PositiveInt = Field(4, description="connections to Postgres that all viewers share")


class LogSettings(Group):
    model_config = SettingsConfigDict(env_prefix="LOGLAKE_LOG_")
    format: Literal["logfmt", "json"] = Field("logfmt", description="how our processes write a line of their log: logfmt or json")


class LineageSettings(Group):
    model_config = SettingsConfigDict(env_prefix="LOGLAKE_LINEAGE_")
    to: str = Field(
        "",
        pattern=r"^(|/\S+|https?://[^\s/]\S*)$",
        description="where OpenLineage events go: a file (an absolute path) or the URL of an HTTP end point; nowhere when empty",
    )
    api_key: SecretStr = Field(SecretStr(""), description="key that the HTTP end point wants, sent as a bearer token")
    namespace: str = Field("loglake", pattern=r"^[^/,\s]+$", description="name space of the jobs in the events; no `/`, comma or blank")
    timeout_seconds: PositiveFloat = Field(2.0, description="how long one event may take; all of a run five times that")


class AlertSettings(Group):
    """When which alert fires, and how often it is told; `loglake.alerts.rules` reads the thresholds by their names here."""

    model_config = SettingsConfigDict(env_prefix="LOGLAKE_ALERT_")
    schedule: str = Field("* * * * *", description="cron expression of the DAG that judges the alert rules and sends the messages")
    digest_schedule: str = Field("0 7 * * *", description="cron expression of the daily digest, in UTC")
    lake_stale_seconds: PositiveFloat = Field(300.0, description="oldest record in Kafka that is not in the lake")
    load_stale_seconds: PositiveFloat = Field(1800.0, description="oldest commit of the lake that is not loaded")
    marts_stale_seconds: PositiveFloat = Field(2700.0, description="oldest load that is not in the marts")
    live_stale_seconds: PositiveFloat = Field(120.0, description="time since the live stream last reported")
    lag_records: PositiveInt = Field(1_000_000, description="records in Kafka that are not in the lake")
    reject_percent: PositiveFloat = Field(5.0, description="rejected of the records that came in the window")
    error_percent: PositiveFloat = Field(10.0, description="errors (type error, or status 500 and above) of the window's events")
    latency_p95_ms: PositiveFloat = Field(1000.0, description="95th percentile of latency_ms of the window's events")
    volume_factor: PositiveFloat = Field(
        4.0, description="the last full hour's records against the median of that hour on past days, as a factor up or down"
    )
    disk_free_gib: NonNegativeFloat = Field(5.0, description="least free room on the disk of the runtime folder")
    hdfs_used_percent: PositiveFloat = Field(85.0, description="what HDFS has used of what it could use")
    small_files: PositiveInt = Field(10_000, description="files of the lake beyond those that its size needs")
    window_minutes: PositiveInt = Field(60, description="the window of the reject, error and latency rules")
    recover_minutes: PositiveFloat = Field(5.0, description="so long a rule must be content before its incident is over")
    reminder_minutes: PositiveFloat = Field(60.0, description="time to the first reminder; each next takes twice as long, at most a day")


class SlackSettings(Group):
    model_config = SettingsConfigDict(env_prefix="LOGLAKE_SLACK_")
    webhook_url: SecretStr = Field(SecretStr(""), description="whole URL of a Slack incoming webhook; no messages to Slack when empty")


class SmtpSettings(Group):
    model_config = SettingsConfigDict(env_prefix="LOGLAKE_SMTP_")
    host: str = Field("", description="mail server; no e-mail when empty")
    port: PortNumber = Field(587, description="its port")
    user: str = Field("", description="log-in name; no log-in when empty")
    password: SecretStr = Field(SecretStr(""), description="its password")
    starttls: bool = Field(True, description="encrypt with STARTTLS, and check the server's certificate")
    sender: str = Field("loglake@localhost", description="address that messages come from")
    recipients: str = Field("", description="addresses that messages go to, with commas")


class ComposeSettings(Group):
    """What docker-compose.yaml itself reads, from .env or the environment of `docker compose`; no Python does."""

    model_config = SettingsConfigDict(env_prefix="LOGLAKE_")
    publish_kafka: PortNumber = Field(29092, description="port of this machine for Kafka's clients outside of the containers")
    publish_namenode: PortNumber = Field(9870, description="port of this machine for the NameNode's web page")
    publish_postgres: PortNumber = Field(5432, description="port of this machine for Postgres")
    publish_spark: PortNumber = Field(8080, description="port of this machine for the Spark master's web page")
    publish_airflow: PortNumber = Field(8082, description="port of this machine for Airflow")
    publish_monitor: PortNumber = Field(8501, description="port of this machine for the monitor")
    base_image: str = Field("debian:bookworm-slim", description="the image that ours is built on; Debian 12 or what is like it")
    secrets_given: str = Field(
        "/dev/null", description="file of LOGLAKE_…=value lines, readable to user 10001, whose secrets replace generated ones"
    )
    env_file: str = Field("compose.env", description="file of settings for the services, LOGLAKE_…=value lines; need not be there")
    demo_rate: PositiveInt = Field(50, description="events a second that the generator of the profile demo sends")
