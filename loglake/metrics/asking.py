"""Asking several servers at the same time, and waiting for none of them longer than a bound."""

import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, NamedTuple

from loglake import clients

log = logging.getLogger(__name__)
Source = Callable[[], Any]


class Answers(NamedTuple):
    """What each source that answered in time said, how long it took, and why the others said nothing."""

    found: dict[str, Any]
    seconds: dict[str, float]
    reasons: dict[str, str]


class Asker:
    """Asks its sources as often as one likes.

    One that is still busy with an earlier question is not asked again, so a server that hangs holds one thread. A fault of the program in
    one costs its answer alone; the log has its traceback.
    """

    def __init__(self, sources: Mapping[str, Source], timeout_seconds: float) -> None:
        self._sources = sources
        self._timeout = timeout_seconds
        self._pool = ThreadPoolExecutor(len(sources), thread_name_prefix="source")
        self._unfinished: dict[str, Future[tuple[Any, float]]] = {}
        self._told: dict[str, str] = {}

    def ask(self) -> Answers:
        asked = {}
        for name, source in self._sources.items():
            busy = self._unfinished.get(name)
            if busy is None or busy.done():
                asked[name] = self._unfinished[name] = self._pool.submit(_timed, source)
        wait(asked.values(), timeout=self._timeout)
        answers = Answers({}, {}, {name: "still busy with an earlier question" for name in self._sources if name not in asked})
        for name, future in asked.items():
            if not future.done():
                answers.reasons[name] = f"no answer within {self._timeout:g} s"
            elif error := future.exception():
                answers.reasons[name] = clients.one_line(error)
                if not isinstance(error, clients.ERRORS) and self._told.get(name) != answers.reasons[name]:
                    log.error("%s gave an answer that nobody expected, and counts as down", name, exc_info=error)
            else:
                answers.found[name], answers.seconds[name] = future.result()
        self._told = answers.reasons
        return answers


def _timed(source: Source) -> tuple[Any, float]:
    began = time.monotonic()
    return source(), time.monotonic() - began
