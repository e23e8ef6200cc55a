"""Tools that `up` runs: what they say when they fail, and that none of them outlives it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from loglake.errors import ServiceError
from loglake.settings import PROJECT
from stack import tools

pytestmark = pytest.mark.unit


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("import sys; print('starting'); sys.exit('no right to write\\n')", "initdb failed: no right to write"),
        ("import sys; print('no right to write'); sys.exit(1)", "initdb failed: no right to write"),
        ("import sys; sys.exit(3)", "initdb failed: exit code 3"),
    ],
)
def test_a_failure_is_one_line_with_the_last_words(code: str, line: str) -> None:
    with pytest.raises(ServiceError) as failed:
        tools.run(python(code), "initdb failed")
    assert str(failed.value) == line


def test_a_tool_has_the_environment_it_is_given() -> None:
    tools.run(python("import os, sys; sys.exit(os.environ['SIGN'] != 'given')"), "it differs", {**os.environ, "SIGN": "given"})


def test_a_tool_ends_with_the_process_that_runs_it(tmp_path: Path) -> None:
    tool = f"import os, pathlib, time; pathlib.Path({str(tmp_path)!r}, str(os.getpid())).touch(); time.sleep(600)"
    runner = f"import sys; from stack import tools; tools.run([sys.executable, '-c', {tool!r}], 'failed')"
    with subprocess.Popen(python(runner), cwd=PROJECT) as up:
        deadline = time.monotonic() + 20
        while not (started := [psutil.Process(int(path.name)) for path in tmp_path.iterdir()]):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        up.send_signal(signal.SIGKILL)
    assert psutil.wait_procs(started, timeout=10)[1] == []
