"""The whole system in containers, once per session; at the end nothing of it may be left."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from loglake.settings import settings
from tests.compose.engine import Engine, EngineError, engine
from tests.compose.project import Project

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
def project(docker: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The system, built and healthy; taken down with its data at the end."""
    told = tmp_path_factory.mktemp("compose") / "compose.env"
    told.write_text("".join(f"{name}={_NEVER}\n" for name in _SCHEDULES))
    project = Project(docker, {"LOGLAKE_ENV_FILE": str(told)})
    project.down(volumes=True)
    try:
        project.build()
        project.up()
        with pytest.MonkeyPatch.context() as patch:
            # This process's settings are those of a client of the published ports.
            patch.setenv("LOGLAKE_AIRFLOW_PORT", str(project.port("airflow-api")))
            settings.cache_clear()
            yield project
        settings.cache_clear()
    finally:
        project.down(volumes=True)
        assert project.left() == []
