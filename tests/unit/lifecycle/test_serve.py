"""One service in the foreground, as in a container: marked while it is healthy, completed once, stopped by its own signal."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.waiting import wait_for

pytestmark = pytest.mark.unit

#: Runs `serve` on a service that is healthy while the file `ready` is there, and whose completion leaves a line in `completed`.
_SCRIPT = """
import sys
from pathlib import Path
from stack import serve
from stack.service import Service

folder, code = Path(sys.argv[1]), sys.argv[2]
serve._STARTING_SECONDS = serve._RUNNING_SECONDS = 0.05
service = Service(
    name="one",
    title="One",
    command=(sys.executable, "-c", code, str(folder)),
    probe=lambda _started: "" if (folder / "ready").exists() else "not ready",
    prepare=lambda: (folder / "prepared").touch(),
    complete=lambda: (folder / "completed").open("a").write("once\\n"),
    gate_seconds=float(sys.argv[3]),
    stop_signal="INT",
)
serve.services = lambda: (service,)
sys.exit(serve.serve("one", folder / "mark"))
"""
#: Waits for SIGINT, and says that it came.
_WAITS = """
import signal, sys
from pathlib import Path
signal.signal(signal.SIGINT, lambda *_: (Path(sys.argv[1], "told").touch(), sys.exit(7)))
Path(sys.argv[1], "up").touch()
signal.pause()
"""


@contextmanager
def serving(folder: Path, code: str, gate_seconds: float = 60) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-c", _SCRIPT, str(folder), code, str(gate_seconds)]
    environment = {**os.environ, "LOGLAKE_RUNTIME_DIR": str(folder / "runtime")}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_service_is_marked_while_it_is_healthy_and_stopped_by_its_own_signal(tmp_path: Path) -> None:
    mark, ready = tmp_path / "mark", tmp_path / "ready"
    with serving(tmp_path, _WAITS) as process:
        wait_for("the service to be up", (tmp_path / "up").exists)
        assert (tmp_path / "prepared").exists()
        assert not mark.exists()
        ready.touch()
        wait_for("the mark", mark.exists)
        assert (tmp_path / "completed").read_text() == "once\n"
        seen = mark.stat().st_mtime_ns
        wait_for("the mark to be renewed", lambda: mark.stat().st_mtime_ns > seen)
        ready.unlink()
        mark.unlink()
        ready.touch()
        wait_for("the mark to come back with health", mark.exists)
        assert (tmp_path / "completed").read_text() == "once\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 7
    assert (tmp_path / "told").exists()
    assert not mark.exists()


def test_a_service_that_ends_takes_its_exit_code_and_the_mark_along(tmp_path: Path) -> None:
    (tmp_path / "ready").touch()
    with serving(tmp_path, "import time, sys; time.sleep(0.5); sys.exit(3)") as process:
        assert process.wait(60) == 3
    assert not (tmp_path / "mark").exists()


def test_a_service_that_does_not_become_healthy_is_ended_with_one_line(tmp_path: Path) -> None:
    with serving(tmp_path, _WAITS, gate_seconds=1.0) as process:
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "one is not healthy after 1 s: not ready" in said
    assert not (tmp_path / "completed").exists()
