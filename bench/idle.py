"""What each service takes: its processes' memory (PSS, so that shared pages count once) and processor time over a while."""

import contextlib
import time
from collections.abc import Callable
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
    return _sum(members, lambda process: sum(process.cpu_times()[:2]))


def _memory(members: list[psutil.Process]) -> float:
    return _sum(members, lambda process: process.memory_full_info().pss) / 2**20


def _sum(members: list[psutil.Process], figure: Callable[[psutil.Process], float]) -> float:
    """The sum of a figure over those that still live."""
    total = 0.0
    for process in members:
        with contextlib.suppress(psutil.NoSuchProcess):
            total += figure(process)
    return total
