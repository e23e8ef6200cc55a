"""The measurements' own arithmetic, and what `loglake bench` refuses before it measures."""

import sys
from functools import partial
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bench import browsing, querylog, viewers
from bench.history import fills
from bench.live import spread
from bench.overhead import Part, per_task, split
from bench.schedule import Report, Seen
from bench.sustain import Step
from bench.timing import Measured, Series, ratio, rounds
from loglake.cli.main import app
from loglake.errors import BadInputError
from loglake.orchestrate import Task

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(("new", "base", "number"), [(20_000, 50_000, 3), (1_000, 10_000, 1), (500, 9_000, 4)])
def test_the_middle_run_finds_the_history_that_the_report_names(new: int, base: int, number: int) -> None:
    first, second = fills(new, base, number)

    # what each counted run finds: the fill, the warm-up, and the counted runs before it
    small = [first + new * (1 + turn) for turn in range(number)]
    large = [first + new * (1 + number) + second + new * (1 + turn) for turn in range(number)]

    assert (small[0] + small[-1], large[0] + large[-1]) == (2 * base, 20 * base)


def test_a_history_smaller_than_the_runs_is_refused() -> None:
    with pytest.raises(BadInputError, match="--base 40000 leaves no room for --rounds 3 of --new 20000: give more than 40000"):
        fills(20_000, 40_000, 3)


def test_an_output_without_a_folder_is_refused_before_measuring(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["bench", "idle", "--output", str(tmp_path / "none" / "idle.json")])

    assert isinstance(done.exception, BadInputError)
    assert "there is no folder" in str(done.exception)


def test_rounds_are_interleaved_and_the_first_is_not_counted() -> None:
    calls: list[str] = []

    def work(name: str) -> int:
        calls.append(name)
        return 10

    measured = {name: Measured(partial(work, name)) for name in ("a", "b")}

    series = rounds(2, measured, lambda _: None)

    assert calls == ["a", "b"] * 3
    assert [len(found.rates) for found in series.values()] == [2, 2]


def test_a_ratio_is_made_pair_by_pair() -> None:
    series = {"over": Series([10.0, 40.0, 90.0]), "under": Series([10.0, 20.0, 30.0])}

    assert ratio(series, "over", "under") == {"median": 2.0, "min": 1.0, "max": 3.0}


@pytest.mark.parametrize(
    ("sent", "second", "holds"), [(1000.0, 5000.0, True), (949.0, 1000.0, False), (1000.0, 6001.0, False), (950.0, 5999.0, True)]
)
def test_a_rate_holds_when_the_producer_keeps_it_and_the_lag_stays_flat(sent: float, second: float, holds: bool) -> None:
    assert Step(1000, sent, 9000, 1000.0, second, "kafka").holds is holds


def test_run_time_is_compared_by_quarters() -> None:
    durations = [10.0, 11.0, 30.0, 20.0, 20.0, 20.0, 12.0, 12.5]
    report = Report([Seen(str(number), seconds, 0, 0, 0) for number, seconds in enumerate(durations)], [])

    assert report.ratio == 12.25 / 10.5


def test_what_a_run_took_is_the_work_of_its_tasks_and_the_rest() -> None:
    tasks = [
        Task("second", queued=16.0, started=16.5, ended=20.0, facts={"took_seconds": 3.0}),
        Task("first", queued=10.5, started=11.0, ended=15.0, facts={"took_seconds": 2.0}),
    ]

    parts = split(10.0, tasks)

    assert parts == [Part("first", 0.5, 0.5, 2.0, 2.0), Part("second", 1.0, 0.5, 0.5, 3.0)]
    assert per_task(10.0, 21.0, parts) == 3.0


def test_the_spread_of_delays_is_median_95th_percentile_and_longest() -> None:
    assert spread([float(number) for number in range(101)]) == (50.0, 95.0, 100.0)
    assert spread([1.0, 2.0]) == pytest.approx((1.5, 1.95, 2.0))


#: As Postgres 18 writes it: continued lines begin with a tab.
LOG = """\
2026-03-04 12:30:00.001 UTC [7] monitor@loglake LOG:  duration: 0.500 ms  parse <unnamed>: /* shop_sessions */
\twith upto as (select 1)
2026-03-04 12:30:00.002 UTC [8] monitor@loglake LOG:  duration: 1.250 ms  execute _pg3_0: /* live_state */ select 1
2026-03-04 12:30:00.003 UTC [7] monitor@loglake LOG:  duration: 1.000 ms  bind <unnamed>: /* shop_sessions */
\twith upto as (select 1)
2026-03-04 12:30:00.004 UTC [8] monitor@loglake LOG:  duration: 0.004 ms  statement: ;
2026-03-04 12:30:00.005 UTC [9] loader@loglake LOG:  duration: 9.000 ms  execute <unnamed>: /* live_state */ select 1
2026-03-04 12:30:00.044 UTC [7] monitor@loglake LOG:  duration: 40.000 ms  execute <unnamed>: /* shop_sessions */
\twith upto as (select 1)
2026-03-04 12:30:00.050 UTC [8] monitor@loglake LOG:  duration: 0.750 ms  execute _pg3_0: /* live_state */ select 1
"""


def test_what_a_question_took_is_the_sum_of_its_messages() -> None:
    taken = querylog.milliseconds(LOG.splitlines())

    assert taken == {"shop_sessions": [41.5], "live_state": [1.25, 0.75]}
    each, together = viewers.timings(taken)
    assert [(one.name, one.asked) for one in (*each, together)] == [("shop_sessions", 1), ("live_state", 2), ("all", 3)]
    assert (together.median, together.longest) == (1.2, 41.5)


def test_a_log_is_followed_when_it_is_put_away_and_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "postgres.log"
    path.write_text("before\n")
    follower = querylog.Follower(path)
    with path.open("a") as log:
        log.write("one\ntw")
        log.flush()
        assert follower.lines() == ["one"]
        log.write("o\n")
    path.rename(tmp_path / "postgres.log.1")
    path.write_text("three\nfo")

    assert follower.lines() == ["two", "three"]
    assert follower.lines() == []
    follower.close()


def test_viewers_do_not_all_ask_the_same() -> None:
    found = viewers.filters(5, 30, ["Côte d'Ivoire", "Chile"])

    assert found == [
        "range=30d",
        "range=30d&country=C%C3%B4te%20d%27Ivoire",
        "range=30d&type=login",
        "range=30d",
        "range=30d&country=Chile",
    ]


def test_viewers_without_a_browser_or_what_drives_it_are_refused_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(BadInputError, match="apt-get install chromium"):
        browsing.chromium()
    monkeypatch.setitem(sys.modules, "playwright.async_api", None)
    done = CliRunner().invoke(app, ["bench", "viewers"])

    assert isinstance(done.exception, BadInputError)
    assert done.exception.exit_code == 2
    assert "make setup" in str(done.exception)
