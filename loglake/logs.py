"""One log format for every process: time in UTC, level, who, what; libraries speak from warnings on."""

import logging
import time

FORMAT = "%(asctime)sZ %(levelname)s %(name)s %(message)s"
#: Whose INFO lines are wanted.
_OWN = ("loglake", "consumers", "spark_jobs", "producers", "stack")


def configure() -> None:
    """Log to standard error; the supervisor keeps and rotates it."""
    formatter = logging.Formatter(FORMAT, datefmt="%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    for name in _OWN:
        logging.getLogger(name).setLevel(logging.INFO)
