"""Airflow of the stack: its configuration (environment variables only), its database, its three processes."""

import hashlib
import hmac
import json
import math
import sys
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from urllib.parse import quote

import psycopg

from loglake import clients, orchestrate
from loglake.dag_policy import SPARK_POOL, SPARK_POOL_DESCRIPTION, SPARK_POOL_SLOTS
from loglake.lineage import sending
from loglake.settings import LOOPBACK, PROJECT, child_environment, settings
from stack import airflow_auth, tools
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
    """API server, scheduler and DAG processor. None of our tasks defers itself: a triggerer is for those of a user's own DAGs."""
    config = settings().airflow
    return (
        Service(
            name="airflow-api",
            title="Airflow API and UI",
            command=_command("api-server"),
            probe=_api_probe,
            after=("postgres",),
            ports=(Port.of(config, "port"),),
            url=settings().airflow.page,
            prepare=prepare,
            complete=complete,
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


def triggerer() -> Service:
    """The process for tasks that defer themselves. Not part of the embedded stack, which it would cost a fifth of its memory."""
    return Service(
        name="airflow-triggerer",
        title="Airflow triggerer",
        command=_command("triggerer", "--skip-serve-logs"),
        probe=_heartbeat_probe("TriggererJob"),
        after=("airflow-api",),
        prepare=prepare,
    )


def prepare() -> None:
    """Bring the password file and the metadata database up to date; quick when they are."""
    _home().mkdir(parents=True, exist_ok=True)
    airflow_auth.write_password_file()
    if migrated():
        return
    tools.run((str(EXECUTABLE), "db", "migrate"), "the Airflow database cannot be migrated", child_environment(**environment()))
    _marker().write_text(schema_state())


def migrated() -> bool:
    """Whether the metadata database is as the last migration by this Airflow left it; psycopg.Error when Postgres is down."""
    return _marker().is_file() and _marker().read_text() == schema_state()


def complete() -> None:
    """Make the pool that the DAGs' tasks name, and FAB's first user; what is there stays as its users have set it."""
    if settings().airflow.auth == "fab":
        command = (sys.executable, "-m", "stack.airflow_first")
        tools.run(command, "Airflow's first user cannot be made", child_environment(**environment()))
    else:
        orchestrate.Airflow().make_pool(SPARK_POOL, SPARK_POOL_SLOTS, SPARK_POOL_DESCRIPTION)


def environment() -> dict[str, str]:
    """The whole configuration of Airflow, as AIRFLOW__SECTION__OPTION variables."""
    sections = {
        "core": _core(),
        "database": _database(),
        "api": {
            "host": settings().runtime.listen,
            "port": str(settings().airflow.port),
            "base_url": settings().airflow.page,
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
    for section, more in airflow_auth.options().items():
        sections[section] = {**sections.get(section, {}), **more}
    variables = {f"AIRFLOW__{section}__{name}".upper(): value for section, options in sections.items() for name, value in options.items()}
    # Everything Airflow itself talks to is on this machine: a proxy of the user's environment must not come between.
    near = f"{LOOPBACK},localhost,{settings().airflow.host}"
    return {**variables, "AIRFLOW_HOME": str(_home()), "NO_PROXY": near, "no_proxy": near}


def _core() -> dict[str, str]:
    config = settings().airflow
    return {
        "executor": "LocalExecutor",
        "parallelism": str(_PARALLELISM),
        "dags_folder": str(PROJECT / "dags"),
        "load_examples": "False",
        "fernet_key": config.fernet_key.get_secret_value(),
        "execution_api_server_url": f"{config.url}/execution/",
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


def _derived_secret(purpose: str) -> str:
    """128 hex digits: Airflow signs its tokens with SHA-512, which wants a key of at least 64 bytes."""
    secret = settings().airflow.jwt_secret.get_secret_value()
    return hmac.new(secret.encode(), purpose.encode(), hashlib.sha512).hexdigest()


def schema_state() -> str:
    """Airflow's and FAB's versions and the revision the database is at, for instance `3.3.2 29ce7909c52b fab 3.10.2`."""
    with clients.postgres("airflow", settings().postgres.airflow_database) as connection:
        try:
            row = connection.execute("select version_num from alembic_version").fetchone()
        except psycopg.errors.UndefinedTable:
            row = None
    fab = version("apache-airflow-providers-fab")
    return f"{version('apache-airflow-core')} {row[0] if row else 'empty'} fab {fab}"


def _api_probe(_since: datetime) -> str:
    state = clients.json_page(f"{settings().airflow.url}/api/v2/monitor/health")["metadatabase"]["status"]
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
