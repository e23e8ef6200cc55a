"""Become one of Airflow's processes: `python -m stack.airflow_run scheduler`; any other Airflow command works too.

Here and not in a service's environment, so that no secret is written into the supervisor's configuration.
"""

import os
import sys

from loglake.settings import child_environment
from stack.airflow import EXECUTABLE, environment


def main(arguments: list[str]) -> None:
    """Replace this process by `airflow ARGUMENTS`, configured for the stack."""
    command = [str(EXECUTABLE), *arguments]
    if arguments[:1] == ["scheduler"]:
        # Its children outlive it: hence the guard.
        command = [sys.executable, "-m", "stack.guard", sys.executable, "-m", "stack.airflow_scheduler", *arguments]
    os.execve(command[0], command, child_environment(**environment()))  # noqa: S606


if __name__ == "__main__":
    main(sys.argv[1:])
