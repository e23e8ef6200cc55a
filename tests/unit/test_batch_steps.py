"""The steps of a batch run: which job the params of a run ask for."""

import pytest

from loglake.batch_steps import LOADS, load_job
from loglake.errors import BadInputError

pytestmark = pytest.mark.unit
START, END = "2026-03-04T10:00:00Z", "2026-03-04T11:00:00Z"


@pytest.mark.parametrize("load", LOADS)
def test_a_load_is_told_the_run_that_it_is_a_part_of(load: str) -> None:
    name, job = load_job({"load": load, "from": None, "to": None}, "dag/task/run")

    assert name == LOADS[load][0]
    assert job == (*LOADS[load][1], "--parent", "dag/task/run")


def test_a_range_is_a_backfill_from_the_lake() -> None:
    _, job = load_job({"load": "range", "from": START, "to": END}, "dag/task/run")

    assert job[-5:] == ("spark_jobs.backfill", "--from", START, "--to", END)


@pytest.mark.parametrize(("start", "end"), [(None, END), (START, None), (END, START), ("yesterday", END)])
def test_a_range_that_is_none_is_one_clear_line(start: str | None, end: str | None) -> None:
    with pytest.raises(BadInputError) as refused:
        load_job({"load": "range", "from": start, "to": end}, "dag/task/run")

    assert len(str(refused.value).splitlines()) == 1
