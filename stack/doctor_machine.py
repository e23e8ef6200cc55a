"""The doctor's checks of the machine and of the installation on it; none asks a server."""

import os
import resource
import shutil
import stat
import sys
import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil
from dotenv import dotenv_values
from pydantic import SecretStr

from loglake.errors import LoglakeError
from loglake.settings import GROUPS, PROJECT, settings
from stack import checks, config, jars, java, postgres
from stack.daemon import Daemon
from stack.finding import Finding, of_error, ok, problem, skipped, warning
from stack.service import Service

_PYTHON = (3, 11)
_GIB = 1024**3
#: The idle stack takes 3.7 GiB (docs/benchmarks.md); a load and dbt want the rest.
_LEAST_MEMORY_GIB, _ENOUGH_MEMORY_GIB = 4.0, 7.5
_ENOUGH_CORES = 2
_ENOUGH_FILES = 4096
#: Files of the past that lie this far in the future: the clock was set back.
_CLOCK_SECONDS = 120


def python() -> Finding:
    """The version that the packages of requirements.lock are for."""
    found = ".".join(str(part) for part in sys.version_info[:3])
    if sys.version_info[:2] == _PYTHON:
        return ok("python", found)
    return problem("python", f"this is Python {found}, loglake needs 3.11", "remove .venv, then `make setup` with python3.11 in PATH")


def java_runtime() -> Finding:
    """A Java that the servers run on."""
    try:
        return ok("java", str(java.java()))
    except LoglakeError as error:
        return of_error("java", error)


def packages(lock: Path = PROJECT / "requirements.lock") -> Finding:
    """Every package of the lock is installed, in the version that it says."""
    pins = dict(line.split()[0].split("==") for line in lock.read_text().splitlines() if "==" in line and not line.startswith((" ", "#")))
    wrong = [f"{name} is {_installed(name) or 'missing'}, locked is {pin}" for name, pin in pins.items() if _installed(name) != pin]
    if not wrong:
        return ok("packages", f"{len(pins)} as in requirements.lock")
    more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
    return problem("packages", wrong[0] + more, "`rm -f .venv/.ready`, then `make setup`")


def _installed(name: str) -> str:
    try:
        return version(name.partition("[")[0])
    except PackageNotFoundError:
        return ""


def servers_jars() -> Finding:
    """The jars of the lock are there, as the stamp of the last fetch and their names tell; their bytes were checked when they came."""
    folder = settings().runtime.jars_dir
    if jars.present(folder, jars.LOCK.read_text()):
        return ok("jars", f"{len(jars.parse_lock(jars.LOCK.read_text()))} as in stack/jars.sha256")
    return problem("jars", f"{folder} does not hold the jars of stack/jars.sha256", "`loglake jars`")


def memory() -> Finding:
    """Whether the stack fits."""
    total = psutil.virtual_memory().total / _GIB
    if total >= _ENOUGH_MEMORY_GIB:
        return ok("memory", f"{total:.1f} GiB, {psutil.virtual_memory().available / _GIB:.1f} GiB available")
    advice = "use a larger machine, or lower the heaps in .env (LOGLAKE_…_HEAP, …_MEMORY, LOGLAKE_POSTGRES_SHARED_BUFFERS)"
    told = problem if total < _LEAST_MEMORY_GIB else warning
    return told("memory", f"{total:.1f} GiB in all, 8 GiB are advised", advice)


def cores() -> Finding:
    """Whether stream and load have a core each."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if count >= _ENOUGH_CORES:
        return ok("cores", str(count))
    return warning("cores", f"{count}: stream and load will wait for each other", "give the machine a second core")


def disk() -> Finding:
    """As much room as `up` asks for."""
    config_ = settings().runtime
    place = next(path for path in (config_.runtime_dir, *config_.runtime_dir.parents) if path.exists())
    try:
        checks.disk(place, config_.min_free_disk_gib)
    except LoglakeError as error:
        return of_error("disk", error)
    return ok("disk", f"{shutil.disk_usage(place).free / _GIB:.1f} GiB free at {place}")


def open_files() -> Finding:
    """How many files a process may open, should it ask for more (Java does by itself)."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard in (-1, resource.RLIM_INFINITY) or hard >= _ENOUGH_FILES:
        return ok("open files", "no limit" if hard in (-1, resource.RLIM_INFINITY) else f"up to {hard:,}")
    return warning("open files", f"at most {hard:,} a process", f"`ulimit -Hn {_ENOUGH_FILES}`, or `nofile` in /etc/security/limits.conf")


def setpriv() -> list[Finding]:
    """What a start's tools are run with, and, for root, whom Postgres is run as."""
    if shutil.which("setpriv") is None:
        return [problem("setpriv", "no setpriv in PATH", "apt-get install util-linux")]
    if os.geteuid() == 0:
        try:
            postgres.dropped_to(postgres.RUN_AS, ())
        except LoglakeError as error:
            return [of_error("setpriv", error)]
        return [ok("setpriv", f"Postgres runs as {postgres.RUN_AS}, not as root")]
    return [ok("setpriv", "in PATH")]


def ports(services: Sequence[Service], daemon: Daemon) -> list[Finding]:
    """Each port is free, or taken by this stack; no two servers have the same."""
    try:
        checks.distinct_ports(services)
    except LoglakeError as error:
        return [of_error("ports", error)]
    family = {process.pid for process in daemon.family()}
    found = []
    for service in services:
        for port in (port for port in service.ports if not checks.free(port.number)):
            if family.isdisjoint(checks.listeners(port.number)):
                taken = checks.taken(port.number, service.name, port.setting, checks.holder(port.number))
                found.append(problem("ports", *taken.split(": ", 1)))
    count = sum(len(service.ports) for service in services)
    return found or [ok("ports", f"{count}, each free or this stack's")]


def runtime_folder() -> Finding:
    """It can be written, and supervisor's socket fits somewhere."""
    folder = settings().runtime.runtime_dir
    place = next(path for path in (folder, *folder.parents) if path.exists())
    if not os.access(place, os.W_OK | os.X_OK):
        return problem(
            "runtime folder", f"{place} cannot be written by this user", f"`chown {os.geteuid()} {place}`, or LOGLAKE_RUNTIME_DIR"
        )
    socket = config.socket_path(folder)
    if socket.parent == folder:
        return ok("runtime folder", str(folder))
    if socket.parent.exists() and socket.parent.stat().st_uid != os.geteuid():
        return problem("runtime folder", f"{socket.parent} belongs to another user", "set LOGLAKE_RUNTIME_DIR to a shorter path")
    return warning(
        "runtime folder", f"{folder} is too long for a socket, which is in {socket.parent}", "set LOGLAKE_RUNTIME_DIR to a shorter path"
    )


def secret_variables() -> set[str]:
    """The variables of the settings that hold a secret."""
    return {
        f"{group.model_config['env_prefix']}{name}".upper()
        for group in GROUPS
        for name, field in group.model_fields.items()
        if field.annotation is SecretStr
    }


def secret_files(dotenv: Path = PROJECT / ".env") -> list[Finding]:
    """Files that hold passwords are their owner's alone."""
    folder = settings().runtime.runtime_dir
    files = [settings().runtime.secrets_file, folder / "supervisord.conf", folder / "airflow" / "passwords.json"]
    if not secret_variables().isdisjoint(dotenv_values(dotenv)):
        files.append(dotenv)
    there = [path for path in files if path.exists()]
    found = [wrong for path in there if (wrong := secret_file(path))]
    if found or there:
        return found or [ok("secrets", ", ".join(path.name for path in there) + ": their owner's alone")]
    return [skipped("secrets", "none yet: `loglake up` makes them")]


def secret_file(path: Path) -> Finding | None:
    """What is wrong with a file of secrets; None when it is its owner's alone."""
    status = path.stat()
    if status.st_uid != os.geteuid():
        return problem("secrets", f"{path} belongs to user {status.st_uid}, not to {os.geteuid()}", f"`chown {os.geteuid()} {path}`")
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o077:
        return problem("secrets", f"{path} has mode {mode:04o}: others can read it", f"`chmod 600 {path}`; then change what it holds")
    return None


def clock() -> Finding:
    """The clock has not gone back behind what was written before; the zone does not matter, as everything is kept in UTC."""
    runtime = settings().runtime
    written = [PROJECT / "requirements.lock", runtime.secrets_file, *runtime.logs_dir.glob("*.log")]
    ahead, path = furthest(path for path in written if path.exists())
    if ahead > _CLOCK_SECONDS:
        return problem(
            "clock", f"{path} was written {ahead:.0f} s from now: the clock was set back", "set the clock (`timedatectl set-ntp true`)"
        )
    return ok("clock", f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S %Z}; loglake works in UTC")


def furthest(paths: Iterable[Path]) -> tuple[float, Path | None]:
    """How far in the future the last written of some files lies (negative: in the past), and which it is."""
    now = time.time()
    return max(((path.stat().st_mtime - now, path) for path in paths), default=(float("-inf"), None))
