"""The whole system in containers, once per session; at the end nothing of it may be left."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.compose.engine import Engine, EngineError, engine
from tests.compose.project import Project, client_of, gone_afterwards
from tests.compose.releases import last_release

#: Until there is a release there is nothing to come from.
collect_ignore = [] if last_release() else ["test_upgrade.py"]

#: Tests trigger the DAGs themselves; a scheduled run would load what another test is counting.
_NEVER = "0 0 1 1 *"
_SCHEDULES = ("LOGLAKE_AIRFLOW_SCHEDULE", "LOGLAKE_MAINTENANCE_SCHEDULE", "LOGLAKE_ALERT_SCHEDULE", "LOGLAKE_ALERT_DIGEST_SCHEDULE")


@pytest.fixture(scope="session")
def docker(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """An engine that answers; the run ends when none can be had, as there is nothing else to test."""
    try:
        with engine(Path(request.config.getoption("--compose-kit"))) as found:
            yield found
    except EngineError as error:
        pytest.exit(f"error: {error}", returncode=2)


@pytest.fixture(scope="session")
def unscheduled(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """The environment of a project whose DAGs run only when they are triggered."""
    told = tmp_path_factory.mktemp("compose") / "compose.env"
    told.write_text("".join(f"{name}={_NEVER}\n" for name in _SCHEDULES))
    return {"LOGLAKE_ENV_FILE": str(told)}


@pytest.fixture(scope="session")
def project(docker: Engine, unscheduled: Mapping[str, str]) -> Iterator[Project]:
    """The system, built and healthy; taken down with its data at the end."""
    project = Project(docker, unscheduled)
    with gone_afterwards(project):
        project.build()
        project.up()
        with client_of(project):
            yield project
