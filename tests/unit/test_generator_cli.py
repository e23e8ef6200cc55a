"""`loglake generate`: what a run is made of, and bad input as one line with exit code 2."""

import sys
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from loglake.cli import main
from loglake.errors import BadInputError
from producers import generate, pools
from producers.flaws import Flaws
from producers.generate import Plan, Schedule, records, schedule
from producers.record import Record

pytestmark = pytest.mark.unit
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()
POOLS = pools.Recipe(users=50, products=40, locales=("en_US", "ja_JP"))


def made(plan: Plan) -> tuple[Schedule, list[Record]]:
    planned = schedule(plan, NOW)
    return planned, list(records(plan, planned, pools.make(plan.pools), NOW, lambda when: when))


@pytest.mark.parametrize("count", [1, 100, 3000])
def test_a_count_fills_the_past_up_to_now(count: int) -> None:
    _, sent = made(Plan(count=count, seed=1, pools=POOLS))
    stamps = [record.event.event_ts.timestamp() for record in sent if record.event]
    assert len(stamps) == count
    assert NOW - 3600 <= min(stamps) <= max(stamps) <= NOW
    assert count == 1 or max(stamps) > NOW - 2 * 1.5 * 3600 / count


def test_same_seed_and_start_same_bytes() -> None:
    start = datetime.fromtimestamp(NOW, UTC) - timedelta(hours=2)
    plan = Plan(count=800, seed=3, start=start, flaws=Flaws(0.1, 2, 0.1, 0.1, 0.1), pools=POOLS)
    assert made(plan)[1] == made(plan)[1]
    later = Plan(count=800, seed=3, start=start + timedelta(seconds=1), pools=POOLS)
    ids = [{record.event.event_id for record in made(plan)[1] if record.event} for plan in (plan, later)]
    assert not ids[0] & ids[1]


def test_a_rate_gives_moments_at_that_rate_from_now_on() -> None:
    planned, sent = made(Plan(duration=timedelta(seconds=10), rate=50, seed=1, pools=POOLS))
    assert planned.real_time
    assert len(sent) == 500
    assert sent[-1].event
    assert sent[-1].event.event_ts.timestamp() == pytest.approx(NOW + 499 / 50)


def test_real_time_waits_for_each_event_and_stops_when_told() -> None:
    stop = threading.Event()
    planned = Schedule(1, NOW, None, 100.0, real_time=True)
    began = time.monotonic()
    when = generate._due(iter([NOW, NOW + 0.05, NOW + 0.1, NOW + 1000]), planned, stop, float("inf"))
    assert [next(when), next(when), next(when)] == [NOW, NOW + 0.05, NOW + 0.1]
    assert time.monotonic() - began >= 0.1
    threading.Timer(0.05, stop.set).start()
    assert list(when) == []
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    "plan",
    [
        {"count": 0},
        {"count": 1, "duration": timedelta(seconds=1)},
        {"rate": 0.0},
        {"rate": float("nan")},
        {"duration": timedelta(0)},
    ],
)
def test_plans_that_contradict_themselves_are_refused(plan: dict[str, object]) -> None:
    with pytest.raises(BadInputError):
        Plan(**plan)  # type: ignore[arg-type]


@pytest.mark.parametrize("start", [datetime(2026, 3, 2, tzinfo=UTC), datetime(2000, 1, 2, tzinfo=UTC)])
def test_no_start_in_the_future_or_before_any_event(start: datetime) -> None:
    with pytest.raises(BadInputError, match="start"):
        schedule(Plan(start=start), NOW)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--count", "0"], "count must be at least 1"),
        (["--count", "many"], "Invalid value for '--count'"),
        (["--duration", "soon"], "is no duration"),
        (["--start", "yesterday"], "is no ISO 8601 time"),
        (["--start", "2999-01-01"], "lies in the future"),
        (["--late", "2"], "share of late records"),
        (["--rate", "-5"], "rate must be more than 0"),
        (["--locale", "xx_XX"], "unknown locale xx_XX"),
        (["--users", "0"], "at least one user"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    arguments: list[str], says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["loglake", "generate", *arguments])
    with pytest.raises(SystemExit) as exit_:
        main.run()
    assert exit_.value.code == 2
    told = capsys.readouterr().err
    assert says in told
    assert "Traceback" not in told
