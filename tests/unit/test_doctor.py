"""The doctor as a command: what it says and what it exits with."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from loglake.cli.doctor import doctor
from loglake.settings import PROJECT, generate_secrets
from stack import doctor as stack_doctor
from stack.finding import Finding

pytestmark = pytest.mark.unit


def loglake(*arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    command = (str(Path(sys.executable).with_name("loglake")), *arguments)
    return subprocess.run(command, env={**os.environ, **variables}, cwd=PROJECT, capture_output=True, text=True, check=False)


def test_the_command_says_what_to_do_and_exits_with_1(runtime: Path) -> None:
    generate_secrets()
    (runtime / "secrets.env").chmod(0o644)

    shown = loglake("doctor", "--json")

    found = {one["check"]: one for one in json.loads(shown.stdout)}
    assert shown.returncode == 1
    assert {name for name, one in found.items() if one["level"] == "problem"} >= {"secrets"}
    assert found["python"]["level"] == "ok"
    assert found["services"]["level"] == "skipped"


def test_a_slip_of_the_pen_in_a_setting_is_a_finding_and_not_the_end_of_the_command() -> None:
    shown = loglake("doctor", LOGLAKE_KAFKA_PROT="1")

    assert shown.returncode == 1
    assert "there is no setting LOGLAKE_KAFKA_PROT" in shown.stdout
    assert "do: did you mean LOGLAKE_KAFKA_PORT?" in shown.stdout


def test_only_warnings_exit_with_0(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(stack_doctor, "examine", lambda: iter([Finding("cores", "warning", "1", "a second core")]))

    doctor()

    assert "warning" in capsys.readouterr().out
