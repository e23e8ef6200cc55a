"""Airflow of the stack: its configuration (environment variables only), its database, its three processes."""

import hashlib
import hmac
import json
import math
import os
import sys
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from urllib.parse import quote

import psycopg

from loglake import clients, orchestrate
from loglake.dag_policy import SPARK_POOL, SPARK_POOL_SLOTS
from loglake.lineage import sending
from loglake.settings import LOOPBACK, PROJECT, child_environment, settings
from stack import tools
from stack.service import Port, Probe, Service

EXECUTABLE = Path(sys.executable).with_name("airflow")
#: A task of the batch, one of maintenance, one of a repair, one of the alerts, one of the user's own. A task that waits for a slot of its
#: pool takes none of these; a worker that is idle is a fork of the scheduler, most of whose memory it shares.
_PARALLELISM = 5
#: What the scheduler sleeps when nothing happens: a task's wait against idle CPU (measured, see docs/benchmarks.md).
_IDLE_SLEEP_SECONDS = 0.5
_HEARTBEAT_SECONDS = 5
_HEARTBEAT_LIMIT = timedelta(seconds=30)
_DAG_REFRESH_SECONDS = 60
_LAST_HEARTBEAT = "select max(latest_heartbeat) from job where job_type = %s and state = 'running'"


def services() -> tuple[Service, ...]:
    """API server, scheduler and DAG processor. Nothing defers its tasks, so there is no triggerer."""
    config = settings().airflow
    return (
        Service(
            name="airflow-api",
            title="Airflow API and UI",
            command=_command("api-server"),
            probe=_api_probe,
            after=("postgres",),
            ports=(Port.of(config, "port"),),
            url=base_url(),
            prepare=prepare,
            complete=make_pools,
        ),
        Service(
            name="airflow-scheduler",
            title="Airflow scheduler",
            command=_command("scheduler", "--skip-serve-logs"),
            probe=_heartbeat_probe("SchedulerJob"),
            after=("airflow-api",),
            prepare=prepare,
            # stack.guard ends the scheduler, its workers and their tasks, which are in process groups of their own.
            stop_group=False,
        ),
        Service(
            name="airflow-dag-processor",
            title="Airflow DAG processor",
            command=_command("dag-processor"),
            probe=_heartbeat_probe("DagProcessorJob"),
            after=("airflow-api",),
            prepare=prepare,
        ),
    )


def base_url() -> str:
    """Where the UI and the API are."""
    return f"http://{LOOPBACK}:{settings().airflow.port}"


def prepare() -> None:
    """Bring the password file and the metadata database up to date; quick when they are."""
    home = _home()
    home.mkdir(parents=True, exist_ok=True)
    _write_password_file()
    if migrated():
        return
    tools.run((str(EXECUTABLE), "db", "migrate"), "the Airflow database cannot be migrated", child_environment(**environment()))
    _marker().write_text(schema_state())


def migrated() -> bool:
    """Whether the metadata database is as the last migration by this Airflow left it; psycopg.Error when Postgres is down."""
    return _marker().is_file() and _marker().read_text() == schema_state()


def make_pools() -> None:
    """Make the pools that the DAGs' tasks name; one that is there stays as its users have set it."""
    orchestrate.Airflow().make_pool(SPARK_POOL, SPARK_POOL_SLOTS, "Tasks that start a Spark application of their own")


def environment() -> dict[str, str]:
    """The whole configuration of Airflow, as AIRFLOW__SECTION__OPTION variables."""
    sections = {
        "core": _core(),
        "database": _database(),
        "api": {
            "host": LOOPBACK,
            "port": str(settings().airflow.port),
            "base_url": base_url(),
            "workers": "1",
            "secret_key": _derived_secret("api.secret_key"),
        },
        "api_auth": {"jwt_secret": _derived_secret("api_auth.jwt_secret")},
        "scheduler": {
            "scheduler_idle_sleep_time": str(_IDLE_SLEEP_SECONDS),
            "job_heartbeat_sec": str(_HEARTBEAT_SECONDS),
        },
        "dag_processor": {
            "parsing_processes": "1",
            "refresh_interval": str(_DAG_REFRESH_SECONDS),
            "min_file_process_interval": str(_DAG_REFRESH_SECONDS),
            # Must exceed the time between two parses of a file, or its DAG is taken for deleted.
            "stale_dag_threshold": str(3 * _DAG_REFRESH_SECONDS),
        },
        "logging": _logging(),
        "cosmos": {
            "enable_telemetry": "False",
            "cache_dir": str(_home() / "cosmos"),
        },
        "openlineage": _lineage(),
    }
    variables = {f"AIRFLOW__{section}__{name}".upper(): value for section, options in sections.items() for name, value in options.items()}
    # Everything Airflow talks to is on this machine: a proxy of the user's environment must not come between.
    return {**variables, "AIRFLOW_HOME": str(_home()), "NO_PROXY": f"{LOOPBACK},localhost", "no_proxy": f"{LOOPBACK},localhost"}


def _core() -> dict[str, str]:
    config = settings().airflow
    return {
        "executor": "LocalExecutor",
        "parallelism": str(_PARALLELISM),
        "dags_folder": str(PROJECT / "dags"),
        "load_examples": "False",
        "fernet_key": config.fernet_key.get_secret_value(),
        "execution_api_server_url": f"{base_url()}/execution/",
        "simple_auth_manager_users": f"{config.user}:admin",
        "simple_auth_manager_passwords_file": str(_password_file()),
        # The default asks the name server for the host's full name.
        "hostname_callable": "socket.gethostname",
    }


def _database() -> dict[str, str]:
    config = settings().postgres
    address = f"airflow:{quote(config.password('airflow'), safe='')}@{config.host}:{config.port}/{config.airflow_database}"
    return {
        "sql_alchemy_conn": f"postgresql+psycopg2://{address}",
        "sql_alchemy_conn_async": f"postgresql+asyncpg://{address}",
    }


def _logging() -> dict[str, str]:
    folder = settings().runtime.logs_dir / "airflow"
    return {
        "base_log_folder": str(folder / "tasks"),
        "dag_processor_child_process_log_directory": str(folder / "dag_processor"),
        "colored_console_log": "False",
        "json_logs": str(settings().log.format == "json"),
    }


def _lineage() -> dict[str, str]:
    """Of the runs and tasks themselves Airflow's own provider tells, to the same place; without a place it is off."""
    config = settings().lineage
    transport = sending.transport(config)
    return {
        "namespace": config.namespace,
        "disabled": str(not transport),
        "transport": json.dumps(transport),
        "execution_timeout": str(math.ceil(sending.limit(config))),
    }


def _command(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "stack.airflow_run", *arguments)


def _marker() -> Path:
    return _home() / "migrated"


def _home() -> Path:
    return settings().runtime.runtime_dir / "airflow"


def _password_file() -> Path:
    return _home() / "passwords.json"


def _write_password_file() -> None:
    """Airflow's SimpleAuthManager reads its users' passwords from a JSON file."""
    config = settings().airflow
    content = json.dumps({config.user: config.password.get_secret_value()}) + "\n"
    path = _password_file()
    if path.is_file() and path.read_text() == content:
        return
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(content)


def _derived_secret(purpose: str) -> str:
    """128 hex digits: Airflow signs its tokens with SHA-512, which wants a key of at least 64 bytes."""
    secret = settings().airflow.jwt_secret.get_secret_value()
    return hmac.new(secret.encode(), purpose.encode(), hashlib.sha512).hexdigest()


def schema_state() -> str:
    """Airflow's version and the revision its database is at, for instance `3.3.2 29ce7909c52b`."""
    with clients.postgres("airflow", settings().postgres.airflow_database) as connection:
        try:
            row = connection.execute("select version_num from alembic_version").fetchone()
        except psycopg.errors.UndefinedTable:
            row = None
    return f"{version('apache-airflow-core')} {row[0] if row else 'empty'}"


def _api_probe(_since: datetime) -> str:
    state = clients.json_page(f"{base_url()}/api/v2/monitor/health")["metadatabase"]["status"]
    return "" if state == "healthy" else f"metadata database {state}"


def _heartbeat_probe(job_type: str) -> Probe:
    """A probe of the heartbeat that a component writes into the metadata database."""

    def probe(since: datetime) -> str:
        with clients.postgres("airflow", settings().postgres.airflow_database) as connection:
            row = connection.execute(_LAST_HEARTBEAT, [job_type]).fetchone()
        return heartbeat_lack(row[0] if row else None, since, datetime.now(since.tzinfo))

    return probe


def heartbeat_lack(seen: datetime | None, since: datetime, now: datetime) -> str:
    """What a component lacks to be healthy: a heartbeat of this start that is not old."""
    if seen is None or seen < since:
        return "no heartbeat since the start"
    silence = now - seen
    return "" if silence <= _HEARTBEAT_LIMIT else f"last heartbeat {silence.total_seconds():.0f} s ago"
