"""What must hold before anything is started: free ports, and room on the disk."""

import shutil
import socket
from collections.abc import Iterable
from pathlib import Path

import psutil

from loglake.errors import ServiceError, SettingsError
from loglake.settings import LOOPBACK
from stack.service import Service

_GIB = 1024**3


def disk(runtime: Path, least_gib: float) -> None:
    """ServiceError when the file system of the runtime folder has less room than asked for."""
    free = shutil.disk_usage(runtime).free / _GIB
    if free < least_gib:
        raise ServiceError(
            f"{free:.1f} GiB free at {runtime}, {least_gib:g} GiB are needed: make room, set LOGLAKE_RUNTIME_DIR to another disk, "
            "or lower LOGLAKE_MIN_FREE_DISK_GIB"
        )


def ports(services: Iterable[Service]) -> None:
    """ServiceError that names the holder and the setting when a service's port is taken."""
    for service in services:
        for port in service.ports:
            if not free(port.number):
                raise ServiceError(taken(port.number, service.name, port.setting, holder(port.number)))


def distinct_ports(services: Iterable[Service]) -> None:
    """SettingsError when two servers are given the same port."""
    known: dict[int, str] = {}
    for port in (port for service in services for port in service.ports):
        if port.number in known:
            raise SettingsError(f"{known[port.number]} and {port.setting} are both {port.number}: set one of them to another port")
        known[port.number] = port.setting


def free(port: int) -> bool:
    """Whether a server could listen on a loopback port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def listeners(port: int) -> list[int]:
    """The pids of the processes that listen on a port, as far as they may be seen."""
    connections = psutil.net_connections("tcp")
    return [c.pid for c in connections if c.status == psutil.CONN_LISTEN and c.laddr and c.laddr.port == port and c.pid]


def holder(port: int) -> str:
    """`pid N (name)` of the process that listens on a port; `another process` when it may not be seen."""
    pids = listeners(port)
    if not pids:
        return "another process"
    try:
        return f"pid {pids[0]} ({psutil.Process(pids[0]).name()})"
    except psutil.NoSuchProcess:
        return f"pid {pids[0]}"


def taken(port: int, service: str, setting: str, by: str) -> str:
    """The one line about a taken port."""
    return f"port {port} ({service}) is taken by {by}: stop it or set {setting}"
