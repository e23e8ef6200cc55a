"""docs/alerts.md says what the code says: every rule with its limit and setting, and an entry for every anchor that messages link to."""

import re

import pytest

from loglake.alerts import runbook
from loglake.alerts.rules import RULES, Rule
from loglake.operation_settings import AlertSettings
from loglake.settings import PROJECT

pytestmark = pytest.mark.unit

TEXT = (PROJECT / runbook.PAGE).read_text()
HEADINGS = [line.removeprefix("### ") for line in TEXT.splitlines() if line.startswith("### ")]


def row(rule: Rule) -> str:
    """The rule's line of the table."""
    limit = f"{'<' if rule.below else '>'} {rule.limit(AlertSettings()):,.10g} {rule.unit}" if rule.threshold else "any"
    setting = f"`LOGLAKE_ALERT_{rule.threshold.upper()}`" if rule.threshold else ""
    return f"| [{rule.name}](#{rule.anchor}) | {rule.severity} | {rule.meaning} | {limit} | {setting} |"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_every_rule_is_in_the_table(rule: Rule) -> None:
    assert row(rule) in TEXT.splitlines()


def test_every_anchor_that_a_message_links_to_is_a_heading_and_has_its_advice() -> None:
    assert {rule.anchor for rule in RULES} <= runbook.ACTIONS.keys()
    assert sorted(HEADINGS) == sorted(runbook.ACTIONS)
    entries = dict(zip(HEADINGS, re.split(r"^### .*$", TEXT, flags=re.MULTILINE)[1:], strict=True))
    for anchor, advice in runbook.ACTIONS.items():
        assert advice in " ".join(entries[anchor].split()), anchor


def test_the_tasks_of_the_batch_have_entries_of_their_own() -> None:
    assert runbook.anchor_of_task("loglake_batch", "dbt_group.dbt_run_task") == "models-failed"
    assert runbook.anchor_of_task("loglake_batch", "some_task") == "batch-failed"
    assert runbook.anchor_of_task("loglake_other", "some_task") == "dag-failed"
