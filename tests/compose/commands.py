"""Running a command to its end; what is given up on is ended with all it started."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence

from loglake.settings import PROJECT

#: Debian's docker client may stand behind another, which cannot build; /usr/sbin, where dockerd and iptables are, may be missing.
PATH = f"/usr/bin:/usr/sbin:/sbin:{os.environ['PATH']}"
_END_SECONDS = 30


def run(
    command: Sequence[str], environment: Mapping[str, str], *, text: str | None = None, check: bool = True, timeout: float = 600
) -> subprocess.CompletedProcess[str]:
    """Run a command in the project's folder with these variables added; when it `check`s, a failure shows all that was said.

    subprocess.TimeoutExpired when it takes longer than `timeout` seconds.
    """
    process = subprocess.Popen(
        command,
        env={**os.environ, **environment},
        cwd=PROJECT,
        stdin=subprocess.DEVNULL if text is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        output, errors = process.communicate(text, timeout=timeout)
    except BaseException:
        _end(process)
        raise
    assert not check or process.returncode == 0, f"{' '.join(command)}: exit {process.returncode}\n{output}\n{errors}"
    return subprocess.CompletedProcess(command, process.returncode, output, errors)


def _end(process: "subprocess.Popen[str]") -> None:
    """SIGTERM to the command and its children, so that they clean up (mmdebstrap its mounts); SIGKILL to those that do not leave."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=_END_SECONDS)
            return
