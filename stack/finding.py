"""What a check of `loglake doctor` finds: all right, a warning, or a problem, and what to do about it."""

from dataclasses import dataclass
from typing import Literal

from loglake.errors import LoglakeError

Level = Literal["ok", "warning", "problem", "skipped"]


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's report; `fix` says what to do about a warning or a problem, in one line."""

    check: str
    level: Level
    detail: str
    fix: str = ""


def ok(check: str, detail: str) -> Finding:
    return Finding(check, "ok", detail)


def skipped(check: str, detail: str) -> Finding:
    """For what cannot be asked now, because a server is down say."""
    return Finding(check, "skipped", detail)


def warning(check: str, detail: str, fix: str) -> Finding:
    return Finding(check, "warning", detail, fix)


def problem(check: str, detail: str, fix: str) -> Finding:
    return Finding(check, "problem", detail, fix)


def of_error(check: str, error: LoglakeError) -> Finding:
    """A problem from an error of ours, whose message ends in what to do, after the first colon and space."""
    detail, _, fix = str(error).partition(": ")
    return problem(check, detail, fix)
