"""What each service takes: its processes' memory (PSS, so that shared pages count once) and processor time over a while."""

import time
from dataclasses import dataclass

import psutil

from loglake.settings import settings
from stack.daemon import Daemon


@dataclass(frozen=True)
class Usage:
    """MiB of memory and cores (1.0: one core busy all the time) of a service and its children."""

    memory_mib: float
    cores: float


def measure(seconds: float) -> dict[str, Usage]:
    """Watch every running service for so long."""
    groups = processes()
    before = {name: cpu_seconds(members) for name, members in groups.items()}
    began = time.monotonic()
    time.sleep(seconds)
    elapsed = time.monotonic() - began
    return {name: Usage(_memory(members), max(0.0, cpu_seconds(members) - before[name]) / elapsed) for name, members in groups.items()}


def processes() -> dict[str, list[psutil.Process]]:
    """Each running service's process and its children; an executor belongs to the worker that started it."""
    daemon = Daemon(settings().runtime.runtime_dir)
    running = {name: process.pid for name, process in daemon.processes().items() if process.pid}
    return {name: [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)] for name, pid in running.items()}


def cpu_seconds(members: list[psutil.Process]) -> float:
    """Processor time that the processes have taken so far."""
    total = 0.0
    for process in members:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


def _memory(members: list[psutil.Process]) -> float:
    total = 0.0
    for process in members:
        try:
            total += process.memory_full_info().pss
        except psutil.NoSuchProcess:
            continue
    return total / 2**20
