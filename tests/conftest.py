"""Fixtures every kind of test shares: one embedded stack per session, started on first use."""

import signal
from collections.abc import Iterator
from types import FrameType

import pytest

from loglake.settings import generate_secrets, settings
from tests.stackfixture import AIRFLOW, CORE, LAKE_STREAM, EmbeddedStack, embedded_stack


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--pictures", help="folder for the browser tests' screenshots, e.g. docs/images")


def pytest_configure() -> None:
    """A test run that is asked to end (CI's time is up) takes its stack down first."""

    def leave(_number: int, _frame: FrameType | None) -> None:
        pytest.exit("SIGTERM")

    signal.signal(signal.SIGTERM, leave)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStack]:
    """Postgres, Kafka, HDFS and Spark, up and healthy. This process's settings are those of this stack."""
    with embedded_stack(tmp_path_factory.mktemp("stack")) as stack, pytest.MonkeyPatch.context() as patch:
        for name, value in stack.environment.items():
            patch.setenv(name, value)
        settings.cache_clear()
        generate_secrets()
        stack.start(CORE)
        settings.cache_clear()
        yield stack
    settings.cache_clear()


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
