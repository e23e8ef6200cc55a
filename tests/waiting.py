"""Waiting for a condition, never for a time."""

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")


def wait_for(what: str | Callable[[], str], condition: Callable[[], Found], seconds: float = 300, poll_seconds: float = 0.3) -> Found:
    """The first true answer of `condition`; fails with `what` (asked for only then, if it can be called) when there is none in time."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {seconds} s for: {what() if callable(what) else what}"
        time.sleep(poll_seconds)
    return found
