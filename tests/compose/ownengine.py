"""A Docker engine of the tests' own, for a machine that has none: all of it in one folder, and gone when it is stopped.

dockerd runs as the first process of a pid and mount namespace. So whoever ends that process ends its containerd and every container too,
and takes their mounts with them; what is left on the machine are bridges, iptables rules and cgroups, which are undone.
"""

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import asdict
from ipaddress import IPv4Network
from pathlib import Path
from typing import IO, Any

import psutil

from tests.compose import hostnetwork
from tests.compose.commands import PATH
from tests.waiting import wait_for

_CGROUPS, _CGROUP = Path("/sys/fs/cgroup"), "loglake-compose-tests"
_NEEDED = ("dockerd", "docker", "iptables", "mmdebstrap", "unshare", "setpriv", "ip")
_START_SECONDS, _STOP_SECONDS = 120, 120


class EngineError(Exception):
    """No engine can be had; the message says what to do."""


def missing() -> list[str]:
    """The programs an own engine needs that are not on PATH."""
    return [name for name in _NEEDED if shutil.which(name, path=PATH) is None]


class OwnEngine:
    """The engine in a folder: images and build cache stay there between runs, all else is of one run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._state = folder / "state.json"
        self._held: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self.environment = {"DOCKER_HOST": f"unix://{folder / 'docker.sock'}", "PATH": PATH}

    def start(self, *, detached: bool = False) -> None:
        """Start it, after ending one that a crashed run left; EngineError when another run has it.

        It dies with this process, also by SIGKILL, unless it is `detached`: then it stays until `stop`.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._lock() as lock:
            self._end()
            network = hostnetwork.free_network(hostnetwork.taken_networks())
            self._write({"network": str(network), "forwarding": asdict(hostnetwork.forwarding())})
            try:
                self._launch(network, lock, detached=detached)
                wait_for(self.log, self.answers, _START_SECONDS)
            except BaseException:
                self._end()
                raise
            if not detached:
                self._held = os.dup(lock.fileno())

    def stop(self) -> None:
        """Stop it politely, and leave nothing on the machine but the folder. Nothing happens when it does not run."""
        self._end()
        if self._held is not None:
            os.close(self._held)
            self._held = None

    def answers(self) -> bool:
        """Whether `docker info` gets an answer from this engine."""
        command = ("docker", "info", "--format", "{{.ServerVersion}}")
        return subprocess.run(command, env={**os.environ, **self.environment}, capture_output=True, check=False).returncode == 0

    def log(self) -> str:
        """The end of dockerd's log."""
        lines = (self._folder / "dockerd.log").read_text(errors="replace").splitlines()
        return "dockerd to answer:\n" + "\n".join(lines[-30:])

    @contextlib.contextmanager
    def _lock(self) -> Iterator[IO[str]]:
        """Only one run at a time has the engine; the lock goes with the last process that has the file open."""
        with (self._folder / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise EngineError(
                    f"another run has the engine of {self._folder}, or it was started by hand: "
                    f"`python -m tests.compose.engine stop`, or export DOCKER_HOST={self.environment['DOCKER_HOST']}"
                ) from None
            yield lock

    def _launch(self, network: IPv4Network, lock: IO[str], *, detached: bool) -> None:
        shutil.rmtree(self._folder / "exec", ignore_errors=True)
        for name in ("dockerd.pid", "docker.sock"):
            (self._folder / name).unlink(missing_ok=True)
        bound = () if detached else ("setpriv", "--pdeathsig", "KILL")
        namespaces = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
        with (self._folder / "dockerd.log").open("w") as log:
            self._process = subprocess.Popen(
                (*bound, *namespaces, *self._dockerd(network)),
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=(lock.fileno(),) if detached else (),
            )
        pid = self._process.pid
        self._write({**self._read(), "pid": pid, "created": psutil.Process(pid).create_time()})

    def _dockerd(self, network: IPv4Network) -> tuple[str, ...]:
        first, second = network.subnets(1)
        return (
            *("dockerd", "--log-level", "warn", "--host", self.environment["DOCKER_HOST"], "--pidfile", str(self._folder / "dockerd.pid")),
            *("--data-root", str(self._folder / "data"), "--exec-root", str(self._folder / "exec"), "--cgroup-parent", f"/{_CGROUP}"),
            *("--bip", f"{first[1]}/24", "--default-address-pool", f"base={second},size=24"),
        )

    def _end(self) -> None:
        """End the engine of the state file, if it runs still, and undo what it did to the machine."""
        state = self._read()
        if not state:
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            if self._process is not None:
                _terminate(psutil.Process(self._process.pid))
            elif "pid" in state and (unshare := psutil.Process(state["pid"])).create_time() == state["created"]:
                _terminate(unshare)
        if self._process is not None:
            self._process.wait()
        hostnetwork.undo(hostnetwork.Forwarding(**state["forwarding"]), IPv4Network(state["network"]))
        _remove_cgroups()
        self._state.unlink()

    def _read(self) -> dict[str, Any]:
        return dict(json.loads(self._state.read_text())) if self._state.exists() else {}

    def _write(self, state: dict[str, Any]) -> None:
        self._state.write_text(json.dumps(state))


def _terminate(unshare: psutil.Process) -> None:
    """SIGTERM to dockerd, unshare's child, which stops its containers; SIGKILL to all when that takes too long."""
    children = unshare.children()
    for dockerd in children:
        dockerd.terminate()
    if not children:
        unshare.kill()
    _, alive = psutil.wait_procs([unshare], timeout=_STOP_SECONDS)
    for process in alive:
        process.kill()
    psutil.wait_procs(alive, timeout=_STOP_SECONDS)


def _remove_cgroups() -> None:
    """Remove the containers' cgroups; they are empty as soon as the kernel has buried their processes."""
    deadline = time.monotonic() + 10
    for parent in _CGROUPS.glob(f"*/{_CGROUP}"):
        for group in sorted((path for path in parent.rglob("*") if path.is_dir()), reverse=True):
            _remove_group(group, deadline)
        _remove_group(parent, deadline)


def _remove_group(group: Path, deadline: float) -> None:
    while True:
        try:
            group.rmdir()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return
