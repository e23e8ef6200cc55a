"""The parameters of the repair DAG: the job each asks for, and one clear line for what cannot be used."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from loglake import logs, repair_steps
from loglake.repair_steps import repair

pytestmark = pytest.mark.unit
FORM = {"action": "replay", "code": None, "fix": None, "from": None, "to": None, "source": "lake", "dry_run": False}
RANGE = {"from": "2026-03-04T12:00:00+00:00", "to": "2026-03-04T13:00:00+00:00"}


def job_of(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> list[str]:
    """The command line of the job that a form asks for, without the interpreter."""
    asked: list[tuple[str, ...]] = []
    monkeypatch.setattr(repair_steps, "run_job", lambda _name, arguments: asked.append(arguments) or {"note": "done"})
    assert repair({**FORM, **changes}, "manual__1") == {"note": "done"}
    (arguments,) = asked
    assert arguments[:2] == (sys.executable, "-m")
    return list(arguments[2:])


def test_a_replay_is_told_what_to_take_and_who_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fix = tmp_path / "fix.yaml"
    fix.write_text("fix: f")
    by = ["--by", "Airflow, manual__1"]
    assert job_of(monkeypatch) == ["producers.replay_rejects", *by]
    asked = job_of(monkeypatch, code="empty", fix=str(fix), dry_run=True, **RANGE)
    times = ["--from", RANGE["from"], "--to", RANGE["to"]]
    assert asked == ["producers.replay_rejects", *by, "--code", "empty", "--fix", str(fix), *times, "--dry-run"]


def test_a_backfill_reads_its_source(monkeypatch: pytest.MonkeyPatch) -> None:
    times = ["--from", RANGE["from"], "--to", RANGE["to"]]
    assert job_of(monkeypatch, action="backfill", **RANGE) == ["spark_jobs.backfill", *times]
    assert job_of(monkeypatch, action="backfill", source="kafka", **RANGE) == ["consumers.backfill", *times]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"action": "mend"}, "action 'mend' is none: replay, backfill"),
        ({"code": "emty"}, "reject code 'emty' is none"),
        ({"fix": "/no/such/file"}, "fix /no/such/file: there is no such file"),
        ({"from": "noon"}, "from 'noon' is no time in ISO 8601"),
        ({"action": "backfill"}, "from and to are both needed"),
        ({"action": "backfill", "source": "tape", **RANGE}, "source 'tape' is none: lake, kafka"),
    ],
)
def test_a_parameter_that_cannot_be_used_fails_the_task_at_once_with_one_line(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(AirflowFailException) as error:
        repair({**FORM, **changes}, "manual__1")
    assert told in str(error.value)
    assert "\n" not in str(error.value)


def test_every_job_that_the_form_can_ask_for_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each parses the arguments it would be given: a wrong option would end it with argparse's exit code 2 and usage."""
    import importlib

    for changes in ({}, {"action": "backfill", **RANGE}, {"action": "backfill", "source": "kafka", **RANGE}):
        module, *options = job_of(monkeypatch, dry_run=True, **changes)
        job = importlib.import_module(module)
        monkeypatch.setattr(job, "run", lambda *_, **__: Said())
        monkeypatch.setattr("sys.argv", [module, *options])
        monkeypatch.setattr(logs, "configure", lambda: None)
        job.main()


class Said:
    def as_json(self) -> str:
        return json.dumps({"note": "done"})
