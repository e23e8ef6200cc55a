"""The supervisor daemon of a runtime folder: start it, ask it, end it, and leave none of its processes behind."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPException
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault, ServerProxy

import psutil
from supervisor.xmlrpc import Faults, SupervisorTransport

from loglake.errors import ServiceError
from loglake.settings import PROJECT, child_environment
from stack.config import MARK, socket_path

_SHUTDOWN_SECONDS, _TERM_SECONDS, _ZOMBIE_SECONDS, _POLL_SECONDS = 120, 10, 2, 0.05


class ShuttingDownError(ServiceError):
    """The supervisor is about to end, and takes no requests any more."""


@dataclass(frozen=True)
class Process:
    """What supervisor says of one service; `pid` is 0 when there is none."""

    name: str
    state: str
    pid: int
    started: datetime
    problem: str

    @classmethod
    def of(cls, info: dict[str, Any]) -> "Process":
        return cls(info["name"], info["statename"], info["pid"], datetime.fromtimestamp(info["start"], UTC), info["spawnerr"])


class Daemon:
    """A handle on the daemon of one runtime folder, which may be running or not."""

    def __init__(self, runtime: Path) -> None:
        self.runtime = runtime
        self.config = runtime / "supervisord.conf"
        self._socket = socket_path(runtime)

    def running(self) -> bool:
        """Whether the daemon is there, be it about to end."""
        try:
            with self._rpc() as rpc:
                rpc.getState()
        except ShuttingDownError:
            return True
        except ServiceError:
            return False
        return True

    def order(self) -> list[str]:
        """The services of the configuration file, in starting order."""
        return re.findall(r"^\[program:(.+)\]$", self.config.read_text(), re.MULTILINE)

    def start(self) -> None:
        """Start the daemon on its configuration file; ServiceError when it does not come up."""
        self._socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._socket.parent != self.runtime and self._socket.parent.stat().st_uid != os.geteuid():
            raise ServiceError(f"{self._socket.parent} belongs to another user: set LOGLAKE_RUNTIME_DIR to a shorter path")
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(self.config)]
        marked = child_environment(**{MARK: str(self.runtime)})
        begun = subprocess.run(command, cwd=PROJECT, env=marked, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        if begun.returncode or not self.running():
            said = (begun.stderr or begun.stdout).strip().splitlines() or [f"exit code {begun.returncode}"]
            raise ServiceError(f"supervisor did not start: {said[-1]}")

    def reload(self) -> tuple[list[str], list[str]]:
        """Read the configuration file anew; the services added to it, and those that it now describes otherwise."""
        with self._rpc() as rpc:
            added, changed, _removed = rpc.reloadConfig()[0]
        return added, changed

    def add(self, name: str, *, replace: bool = False) -> None:
        """Take a service of the re-read configuration in; `replace` when it is known, and not running."""
        with self._rpc() as rpc:
            if replace:
                rpc.removeProcessGroup(name)
            rpc.addProcessGroup(name)

    def processes(self) -> dict[str, Process]:
        """Every service the daemon knows, by name."""
        with self._rpc() as rpc:
            return {info["name"]: Process.of(info) for info in rpc.getAllProcessInfo()}

    def process(self, name: str) -> Process:
        """One service."""
        with self._rpc() as rpc:
            return Process.of(rpc.getProcessInfo(name))

    def start_process(self, name: str) -> None:
        """Spawn a service without waiting for it; ServiceError when its program cannot be run."""
        with self._rpc(f"{name} cannot be started") as rpc:
            rpc.startProcess(name, False)

    def stop_process(self, name: str) -> None:
        """Stop a service and wait until it is gone; one that has just ended by itself is no error."""
        with self._rpc() as rpc:
            try:
                rpc.stopProcess(name, True)
            except Fault as fault:
                if fault.faultCode != Faults.NOT_RUNNING:
                    raise

    def shut_down(self) -> None:
        """End the daemon, which stops what is still running, and wait until it is gone; it may be at it already."""
        try:
            process = psutil.Process(int((self.runtime / "supervisord.pid").read_text()))
        except (FileNotFoundError, psutil.NoSuchProcess):
            return
        with suppress(ShuttingDownError), self._rpc() as rpc:
            rpc.shutdown()
        if _left([process], _SHUTDOWN_SECONDS):
            raise ServiceError(f"supervisor (pid {process.pid}) has not ended within {_SHUTDOWN_SECONDS} s")

    def family(self) -> list[psutil.Process]:
        """Every process of this stack, also what its supervisor lost sight of: by mark, by process group, by descent."""
        own = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
        alive = list(psutil.process_iter())
        marked = [process for process in alive if _mark(process) == str(self.runtime)]
        groups = {group for process in marked if (group := _group(process))}
        found = {process.pid: process for process in marked}
        found |= {process.pid: process for process in alive if _group(process) in groups}
        for process in marked:
            found |= {child.pid: child for child in _children(process)}
        return [process for pid, process in found.items() if pid not in own]

    def end(self, processes: list[psutil.Process]) -> int:
        """End those of the processes that are still there, first politely; returns their number."""
        found = [process for process in processes if _alive(process)]
        for process in found:
            _signal(process, force=False)
        for process in _left(found, _TERM_SECONDS):
            _signal(process, force=True)
        _left(found, _TERM_SECONDS)
        return len(found)

    @contextmanager
    def _rpc(self, failure: str = "supervisor refuses") -> Iterator[Any]:
        """The daemon's interface; ServiceError when it refuses a request, ends, or is not there."""
        transport = SupervisorTransport(None, None, f"unix://{self._socket}")
        try:
            yield ServerProxy("http://127.0.0.1", transport=transport).supervisor
        except Fault as fault:
            if fault.faultCode == Faults.SHUTDOWN_STATE:
                raise ShuttingDownError("supervisor is shutting down: run `loglake down`, which waits for it") from fault
            raise ServiceError(f"{failure}: {fault.faultString}") from fault
        except (OSError, HTTPException) as error:
            raise ServiceError(f"supervisor does not answer ({error}): see `loglake logs supervisord`") from error
        finally:
            transport.close()


def _mark(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(MARK)
    except (psutil.Error, OSError):
        return None


def _group(process: psutil.Process) -> int | None:
    try:
        return os.getpgid(process.pid)
    except OSError:
        return None


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _left(processes: list[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Wait until the processes have ended; those that have not in time.

    A zombie has ended, and is waited for no longer than a moment: in a container without init it stays.
    """
    deadline = time.monotonic() + seconds
    while alive := [process for process in processes if _alive(process)]:
        if time.monotonic() > deadline:
            return alive
        time.sleep(_POLL_SECONDS)
    psutil.wait_procs(processes, _ZOMBIE_SECONDS)
    return []


def _signal(process: psutil.Process, *, force: bool) -> None:
    with suppress(psutil.NoSuchProcess):
        process.kill() if force else process.terminate()
