"""How the process of a stream begins and ends: the same for the lake's stream and the live one."""

import logging
import signal
import sys
from collections.abc import Callable

from loglake import logs
from loglake.errors import LoglakeError


def run_logged(log: logging.Logger, run: Callable[[], None]) -> None:
    """Configure the log and run; a LoglakeError becomes one line of it, and its exit code the process's."""
    logs.configure()
    try:
        run()
    except LoglakeError as error:
        log.error("%s", error)
        sys.exit(error.exit_code)


def stop_on_signals() -> list[int]:
    """A list that is empty until SIGTERM or SIGINT comes."""
    received: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda signum, _frame: received.append(signum))
    return received
