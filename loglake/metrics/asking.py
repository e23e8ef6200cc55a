"""Asking several servers at the same time, waiting for none of them longer than a bound, and sharing the answer."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, Generic, NamedTuple, TypeVar

from loglake import clients

log = logging.getLogger(__name__)
Source = Callable[[], Any]
T = TypeVar("T")


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


class Kept(Generic[T]):
    """An answer that all who ask within some seconds share; one at a time makes it, and the others wait for that."""

    def __init__(self, make: Callable[[], T], seconds: float) -> None:
        self._make = make
        self._seconds = seconds
        self._lock = threading.Lock()
        self._made: tuple[float, T] | None = None

    def get(self) -> T:
        with self._lock:
            if self._made is None or time.monotonic() - self._made[0] >= self._seconds:
                answer = self._make()
                self._made = (time.monotonic(), answer)
            return self._made[1]
