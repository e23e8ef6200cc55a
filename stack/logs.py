"""What the services wrote: the last lines, the last problem, and supervisor's own record of exits."""

import re
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from loglake.logs import event_of

_TAIL_BYTES = 64 * 1024
_PROBLEM = re.compile(r"\b(ERROR|FATAL|CRITICAL|PANIC|Exception|Error|error:)\b|\"level\": ?\"(error|critical)\"")
_EXIT = re.compile(r"^(?P<time>\S+ [\d:]+),\d+ \w+ exited: (?P<name>\S+) \((?P<how>.*); not expected\)")
_STARTED = re.compile(r"supervisord started with pid")


@dataclass(frozen=True)
class Exits:
    """How often a service ended unexpectedly since the stack was started, and how it last did."""

    count: int = 0
    last: str = ""


def tail(path: Path, lines: int) -> list[str]:
    """The last lines of a log; none when there is no log yet."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", errors="replace") as file:
        return [line.rstrip("\n") for line in deque(file, maxlen=lines)]


def last_problem(path: Path) -> str:
    """What the last line of a log says that speaks of an error, otherwise its last line that is not a stack trace's."""
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        lines = [line.strip() for line in file.read().decode("utf-8", "replace").splitlines() if line.strip()]
    plain = [line for line in lines if not line.startswith(("at ", "..."))]
    found = next((line for line in reversed(plain) if _PROBLEM.search(line)), plain[-1] if plain else "")
    return event_of(found)


def exits(lines: Iterable[str]) -> dict[str, Exits]:
    """Unexpected exits by service, from supervisord.log since its last start."""
    found: dict[str, Exits] = {}
    for line in lines:
        if _STARTED.search(line):
            found = {}
        elif match := _EXIT.match(line):
            before = found.get(match["name"], Exits())
            found[match["name"]] = Exits(before.count + 1, f"{match['how']} at {match['time']}")
    return found
