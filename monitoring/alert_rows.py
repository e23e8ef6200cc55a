"""The alert rules as the Alerts page shows them. Pure."""

from collections import Counter
from collections.abc import Collection, Iterable

import pandas as pd

from loglake.alerts.rules import Rule, Verdict
from monitoring.text import span

MARKS = {"firing": "▲ firing", "unknown": "? unknown", "ok": "● ok"}
_ORDER = ("firing", "unknown", "ok")


def changed(thresholds: pd.DataFrame) -> dict[str, float]:
    """The thresholds that were changed and not put back, by name; of the rows of `queries.alerts.THRESHOLDS`."""
    held = thresholds.dropna(subset=["value"])
    return dict(zip(held["name"], held["value"].astype(float), strict=True))


def counts(verdicts: Iterable[Verdict]) -> dict[str, int]:
    """How many are in which state, the worst first."""
    found = Counter(verdict.state for verdict in verdicts)
    return {state: found[state] for state in _ORDER}


def rows(verdicts: Iterable[Verdict], changed: Collection[str]) -> pd.DataFrame:
    """A row per verdict, what fires first; a limit that was changed here is marked."""
    ranked = sorted(verdicts, key=lambda verdict: _ORDER.index(verdict.state))
    return pd.DataFrame(
        [
            {
                "state": MARKS[verdict.state],
                "rule": verdict.title,
                "severity": verdict.rule.severity,
                "limit": limit(verdict.rule, verdict.limit) + (" (changed)" if verdict.rule.threshold in changed else ""),
                "now": verdict.detail,
            }
            for verdict in ranked
        ],
        columns=["state", "rule", "severity", "limit", "now"],
    )


def limit(rule: Rule, value: float) -> str:
    """E.g. > 5 %, < 5 GiB, > 30 min; `any` where one is too many."""
    if not rule.threshold:
        return "any"
    return f"{'<' if rule.below else '>'} {amount(rule, value)}"


def amount(rule: Rule, value: float) -> str:
    return span(value) if rule.unit == "s" else f"{value:,.10g} {rule.unit}"
