"""Fixtures every kind of test shares: one embedded stack per session, started on first use."""

import os
import signal
from collections.abc import Iterator
from types import FrameType

import psutil
import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from loglake.settings import generate_secrets, settings
from tests.compose.engine import KIT
from tests.stackfixture import AIRFLOW, CORE, LAKE_STREAM, EmbeddedStack, embedded_stack

#: Tests that share servers, and so run in one worker; all others share the session's stack without Airflow.
_SHARING = {
    "airflow": ("integration/test_airflow.py", "integration/test_alerts.py", "browser/test_uis.py", "browser/test_monitor_stack.py"),
    "warehouse": ("integration/warehouse/",),
    "faults": ("faults/",),
    "monitor": ("browser/test_monitor.py",),
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--pictures", help="folder for the browser tests' screenshots, e.g. docs/images")
    parser.addoption("--compose-kit", default=str(KIT), help="folder with what makes compose and a base image where none can be pulled")


def pytest_configure(config: pytest.Config) -> None:
    """A test run that is asked to end (CI's time is up, Ctrl-C) takes its stack down first; with workers, each its own."""
    has_workers = config.getoption("dist", "no") != "no"

    def leave(number: int, _frame: FrameType | None) -> None:
        workers = psutil.Process().children() if has_workers else []
        for worker in workers:
            worker.terminate()
        psutil.wait_procs(workers, timeout=120)
        if hasattr(config, "workerinput"):
            # After its fixtures are torn down a worker would wait for the run to go on.
            config.add_cleanup(lambda: os._exit(1))
        pytest.exit(signal.Signals(number).name)

    signal.signal(signal.SIGTERM, leave)
    if has_workers:
        signal.signal(signal.SIGINT, leave)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """With three workers (`make test`) one has a stack with Airflow, another one without, the third a Postgres; then come the faults.

    Unit tests share nothing.
    """

    class ByServers(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0].removeprefix("tests/")
            if file.startswith("unit/"):
                return file
            return next((kind for kind, files in _SHARING.items() if file.startswith(files)), "stack")

    return ByServers(config, log)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStack]:
    """Postgres alone, up and healthy: enough for tests of what comes after the load. This process's settings are those of this stack."""
    with embedded_stack(tmp_path_factory.mktemp("stack")) as stack, pytest.MonkeyPatch.context() as patch:
        for name, value in stack.environment.items():
            patch.setenv(name, value)
        settings.cache_clear()
        generate_secrets()
        stack.start(("postgres",))
        settings.cache_clear()
        yield stack
    settings.cache_clear()


@pytest.fixture(scope="session")
def stack(postgres: EmbeddedStack) -> EmbeddedStack:
    """Postgres, Kafka, HDFS and Spark, up and healthy."""
    postgres.start(CORE)
    return postgres


@pytest.fixture(scope="session")
def lake_stream(stack: EmbeddedStack) -> EmbeddedStack:
    """The stack with the stream into the lake running too."""
    stack.start(LAKE_STREAM)
    return stack


@pytest.fixture(scope="session")
def airflow(lake_stream: EmbeddedStack) -> EmbeddedStack:
    """The stack with the stream and Airflow running too."""
    lake_stream.start(AIRFLOW)
    return lake_stream
