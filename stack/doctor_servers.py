"""The doctor's checks of servers and of what they hold. A server that does not run is skipped, not called a problem."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from loglake import clients, lake_metadata, topic, upgrades, validate
from loglake.columns import LAKE_COLUMNS
from loglake.errors import SettingsError
from loglake.setting_groups import HdfsSettings
from loglake.settings import settings
from stack import airflow, postgres
from stack.daemon import Daemon
from stack.finding import Finding, ok, problem, skipped, warning
from stack.status import Row, status

_WEB_PORTS = {"http": 80, "https": 443}
_NEW_FIELD = 'docs/customise.md, "An installation that holds data"'


def services(daemon: Daemon) -> list[Finding]:
    """Every service of a stack that is up runs and is healthy."""
    if not daemon.running():
        return [skipped("services", "the stack is not running: `loglake up`")]
    rows = status()
    return service_findings(rows)


def service_findings(rows: list[Row]) -> list[Finding]:
    """What `loglake status` says, as findings; a service that was never started, or was stopped, is a warning."""
    found = []
    for row in rows:
        if row.state == "stopped":
            found.append(warning("services", f"{row.service} is not running", f"`loglake up --only {row.service}`"))
        elif row.state != "running":
            detail = f"{row.service} is {row.state}" + (f" ({row.last_error})" if row.last_error else "")
            found.append(problem("services", detail, f"`loglake logs {row.service}`, then `loglake up`"))
    return found or [ok("services", f"{len(rows)} running and healthy")]


def postgres_version() -> Finding:
    """The data folder was made by the major version of the server that is installed."""
    marker = settings().runtime.data_dir / "postgres" / "PG_VERSION"
    shown = subprocess.run([postgres.BINARIES / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    return data_version(marker, shown.split()[-1])


def data_version(marker: Path, installed: str) -> Finding:
    """`marker` is Postgres' PG_VERSION, `installed` a version such as 18.4."""
    if not marker.exists():
        return skipped("postgres version", f"{installed}; no data yet")
    made_by, major = marker.read_text().strip(), installed.partition(".")[0]
    if made_by == major:
        return ok("postgres version", f"{installed}, data of {made_by}")
    advice = f"install the release that brings Postgres {made_by}, dump the databases, and restore them under this one"
    return problem("postgres version", f"the data are of Postgres {made_by}, the server is {installed}", advice)


def warehouse_version() -> Finding:
    """The warehouse is at the newest schema version that this release knows."""
    with clients.postgres("monitor") as connection:
        return version_finding(upgrades.version(connection), upgrades.revisions())


def version_finding(held: str | None, known: list[str]) -> Finding:
    """The version that a warehouse has (None: that of the first release) against those that this release knows, oldest first."""
    if held == known[-1]:
        return ok("schema version", held)
    advice = "run the newer release that wrote it, or restore a backup from before (`loglake restore`)"
    if held is None or held in known:
        advice = "`loglake down`, then `loglake up`"
    return problem("schema version", f"the warehouse has {held or 'none'}, this release {known[-1]}", advice)


def warehouse_schema() -> list[Finding]:
    """Schemas, roles, tables, columns and privileges are those of this release."""
    with clients.postgres("monitor") as connection:
        wrong = validate.missing_objects(connection) or validate.wrong_privileges(connection)
    return [problem("warehouse schema", *_halves(line)) for line in wrong] or [ok("warehouse schema", "as this release wants it")]


def lake_columns() -> list[Finding]:
    """The lake's table has the columns of the contract; skipped when no NameNode listens."""
    addresses = namenodes(settings().hdfs)
    if not any(clients.listens(address) for address in addresses):
        return [skipped("lake columns", f"nothing listens at {', '.join(addresses)}")]
    document = lake_metadata.document()
    if document is None:
        return [skipped("lake columns", "the stream has not made the table yet")]
    return column_findings(lake_names(document))


def namenodes(config: HdfsSettings) -> list[str]:
    """`host:port` of each NameNode's web page; SettingsError when one is no URL."""
    addresses = []
    for text in config.http_url.split(";"):
        url = urlsplit(text)
        if not url.hostname or url.scheme not in _WEB_PORTS:
            raise SettingsError(f"setting LOGLAKE_HDFS_WEB_URL cannot be used: {text!r} is no http:// or https:// URL")
        addresses.append(f"{url.hostname}:{url.port or _WEB_PORTS[url.scheme]}")
    return addresses


def lake_names(document: dict[str, Any]) -> set[str]:
    """The columns of the current schema in Iceberg's metadata file."""
    current = next(schema for schema in document["schemas"] if schema["schema-id"] == document["current-schema-id"])
    return {field["name"] for field in current["fields"]}


def column_findings(names: set[str]) -> list[Finding]:
    """The lake's columns against the contract's."""
    contract = {column.name for column in LAKE_COLUMNS}
    lacking, extra = sorted(contract - names), sorted(names - contract)
    found = [problem("lake columns", f"the table lacks {', '.join(lacking)} of the contract", _NEW_FIELD)] if lacking else []
    if extra:
        found.append(
            warning("lake columns", f"the contract does not know {', '.join(extra)}", "is this an older release than wrote the lake?")
        )
    return found or [ok("lake columns", f"{len(contract)} as in the contract")]


def airflow_schema() -> Finding:
    """Airflow's database is at the revision that the installed Airflow left it at."""
    if airflow.migrated():
        return ok("airflow database", airflow.schema_state())
    return problem(
        "airflow database", f"it is at {airflow.schema_state()}, which this release has not prepared", "`loglake down`, then `loglake up`"
    )


def kafka_partitions() -> Finding:
    """The topic has the partitions of the settings."""
    clients.require_broker()
    return partition_finding(len(topic.bounds(settings().kafka.topic)), settings().kafka.partitions)


def partition_finding(there: int, wanted: int) -> Finding:
    if there < wanted:
        return problem("kafka topic", f"{there} partitions, LOGLAKE_KAFKA_PARTITIONS says {wanted}", "`loglake up --only kafka` adds them")
    if there > wanted:
        return warning("kafka topic", f"{there} partitions, the settings say {wanted}", f"set LOGLAKE_KAFKA_PARTITIONS={there}")
    return ok("kafka topic", f"{there} partitions")


def asked(check: str, address: str, question: Callable[[], Finding | list[Finding]]) -> list[Finding]:
    """What a server at `host:port` says; skipped when nothing listens there, a problem when it does not answer as it should."""
    if not clients.listens(address):
        return [skipped(check, f"nothing listens at {address}")]
    try:
        found = question()
    except clients.ERRORS as error:
        return [problem(check, clients.one_line(error), "`loglake status`, then `loglake logs NAME`")]
    return found if isinstance(found, list) else [found]


def _halves(line: str) -> tuple[str, str]:
    detail, _, fix = line.partition(": ")
    return detail, fix
