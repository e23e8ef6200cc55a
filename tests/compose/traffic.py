"""Events from a generator container into the containers' Kafka, with a ledger that says what must come out."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from producers import ledger
from tests.compose.project import NAME, Project
from tests.waiting import wait_for

_SENDER = f"{NAME}-sender"
_FLAWS = ("--late", "0.02", "--resent", "0.02", "--malformed", "0.01")
_SENDING_SECONDS, _STOP_SECONDS = 900, 120


def send(project: Project, folder: Path, *options: str) -> ledger.Truth:
    """Send events to the end; what the ledger, a file in this folder, says must come out of it."""
    project.compose(*_generator(folder, *options), timeout=_SENDING_SECONDS)
    return sent(folder)


def sent(folder: Path) -> ledger.Truth:
    """What must come out of all that was sent, by the ledger in this folder."""
    return ledger.truth(ledger.read(folder / "sent"))


@contextmanager
def flowing(project: Project, folder: Path, *options: str) -> Iterator[None]:
    """Events keep coming until the block ends; the generator is then stopped in order, and says so by its exit code."""
    command = project.command(*_generator(folder, *options))
    process = subprocess.Popen(
        command,
        env={**os.environ, **project.environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    path = folder / "sent"
    try:
        wait_for("the generator's first acknowledgements", lambda: process.poll() is not None or (path.exists() and path.stat().st_size))
        yield
    finally:
        project.engine.docker("stop", "--time", str(_STOP_SECONDS), _SENDER, check=False)
        output, _ = process.communicate(timeout=_STOP_SECONDS)
    assert process.returncode == 0, output


def _generator(folder: Path, *options: str) -> tuple[str, ...]:
    """`compose run` of a generator that writes its ledger into the folder, whatever user the container runs as."""
    folder.mkdir(exist_ok=True)
    folder.chmod(0o777)
    run = ("run", "--rm", "--no-TTY", "--no-deps", "--name", _SENDER, "--volume", f"{folder}:/ledger", "generator")
    return (*run, "loglake", "generate", "--ledger", "/ledger/sent", *_FLAWS, *options)
