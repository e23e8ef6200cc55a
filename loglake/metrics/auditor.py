"""Runs the check of the books now and then, beside the scrapes, and keeps what the last one found."""

import json
import logging
import subprocess
import sys
import threading
from collections.abc import Sequence
from datetime import UTC, datetime

from loglake import clients
from loglake.errors import ServiceError
from loglake.metrics.facts import Audit
from loglake.settings import PROJECT

log = logging.getLogger(__name__)
COMMAND = (sys.executable, "-m", "loglake.metrics.audit")
#: A check that takes longer is given up.
_LONGEST_SECONDS = 600
#: The first check comes while servers start, and is tried again soon.
_FIRST_SECONDS = 20


class Auditor:
    """A thread of its own checks every `seconds`; `last` is what it found, None before the first check has ended.

    A check that fails, because a server is down or no process can be started say, is logged and leaves `last` as it was: its age tells.
    """

    def __init__(self, seconds: float, command: Sequence[str] = COMMAND) -> None:
        self.last: Audit | None = None
        self._seconds = seconds
        self._command = command

    def start(self) -> None:
        """Check now and then until the process ends."""
        threading.Thread(target=self._run, name="auditor", daemon=True).start()

    def _run(self) -> None:
        pause = threading.Event()
        while True:
            self.check()
            pause.wait(self.pause_seconds)

    @property
    def pause_seconds(self) -> float:
        """The time to the next check."""
        return self._seconds if self.last else min(self._seconds, _FIRST_SECONDS)

    def check(self) -> None:
        """Check once."""
        try:
            self.last = read(_answer(self._command))
        except ServiceError as error:
            log.warning("%s", error)
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.warning("the check of the books gave no answer: %s", clients.one_line(error))
        else:
            if self.last.findings:
                log.error("the books do not balance: %s", self.last.findings[0])


def _answer(command: Sequence[str]) -> str:
    """What the check wrote; ServiceError when it failed or took too long, OSError when it cannot be started."""
    try:
        done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=_LONGEST_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise ServiceError(f"the check of the books took more than {_LONGEST_SECONDS} s and was given up") from error
    if done.returncode:
        raise ServiceError((done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1])
    return done.stdout


def read(text: str) -> Audit:
    """The answer of `loglake.metrics.audit`; ValueError, KeyError or TypeError when it is none."""
    found = json.loads(text)
    checked = datetime.fromtimestamp(found["checked_at"], UTC)
    return Audit(checked, tuple(found["findings"]), found["rows"], found["rejects"])
