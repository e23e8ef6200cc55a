"""The volumes of the last release come up under this tree, with all their data, and the next run goes on from there."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests import pipeline
from tests.compose import traffic
from tests.compose.bookkeeping import balanced_books, totals
from tests.compose.engine import Engine
from tests.compose.project import Project, client_of, gone_afterwards
from tests.compose.releases import last_release, unpack

pytestmark = [pytest.mark.compose, pytest.mark.timeout(3600)]


def test_the_volumes_of_the_last_release_come_up_with_their_data(docker: Engine, unscheduled: Mapping[str, str], tmp_path: Path) -> None:
    older = Project(docker, unscheduled, unpack(last_release(), tmp_path / "release"))
    newer = Project(docker, older.environment)
    with gone_afterwards(newer):
        older.build()
        older.up()
        with client_of(older):
            traffic.send(older, tmp_path / "first", "--count", "20000", "--seed", "11")
            before = balanced_books(older)
        newer.build()
        newer.up()
        with client_of(newer):
            assert totals(pipeline.books(newer)) == totals(before)
            truth = traffic.send(newer, tmp_path / "second", "--count", "5000", "--seed", "12")
            after = balanced_books(newer)
    pipeline.exactly_once(after)
    assert after["raw_events"] - before["raw_events"] == truth.events
    assert after["raw_rejected"] - before["raw_rejected"] == truth.rejected
