"""Flawed records carry labels that tell the truth about them."""

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest

from loglake import decode, events
from loglake.errors import BadInputError
from producers import generator, ids, malformed, moments, pools
from producers.flaws import Flaws, flawed
from producers.record import GOOD, LATE, MALFORMED, RESENT, UNKNOWN_VERSION, Record

pytestmark = pytest.mark.unit
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOW = START + timedelta(hours=3)
NUMBER, LIMIT = 20_000, 10_000
SHARES = Flaws(late=0.05, late_days=2, resent=0.03, malformed=0.02, unknown_version=0.01)


def shop(number: int = NUMBER) -> list[events.Event]:
    pool = pools.make(pools.Recipe(users=200, products=60, locales=("en_US", "ja_JP")))
    return list(islice(generator.shop_events(pool, "7", moments.steady(START.timestamp(), 2.0), 40), number))


@pytest.fixture(scope="module")
def records() -> list[Record]:
    return list(flawed(iter(shop()), SHARES, "7", LIMIT))


def outcome(record: Record) -> str:
    """The code the record is rejected with; empty when it is an event."""
    try:
        decode.decode(record.value, NOW, LIMIT)
    except decode.Reject as reject:
        return reject.code
    return ""


def test_without_flaws_each_event_is_sent_once_and_unchanged() -> None:
    some = shop(500)
    assert list(flawed(iter(some), Flaws(), "1", LIMIT)) == [
        Record(event.session_id.encode(), events.encode(event), GOOD, event) for event in some
    ]


def test_same_seed_same_records(records: list[Record]) -> None:
    assert list(flawed(iter(shop()), SHARES, "7", LIMIT)) == records
    assert list(flawed(iter(shop()), SHARES, "8", LIMIT)) != records


def test_every_label_is_what_the_decoder_finds(records: list[Record]) -> None:
    for record in records:
        expected = record.label.removeprefix(MALFORMED) if record.label not in {GOOD, LATE, RESENT} else ""
        assert outcome(record) == expected, record


@pytest.mark.parametrize("code", [code for code in decode.REASONS if code != UNKNOWN_VERSION])
def test_every_way_to_spoil_an_event_gives_its_code(code: str) -> None:
    """Each code of the decoder occurs, and each way to cause it does, whatever the event it is made from."""
    kinds = {event.event_type: event for event in shop(5000)}
    for event in kinds.values():
        payload = events.encode(event)
        ways = [spoil(payload) for spoil in malformed.SPOILED[code]] if code in malformed.SPOILED else []
        for value in ways or [malformed.spoiled(code, event, random.Random(1), LIMIT)]:  # noqa: S311
            assert outcome(Record(b"k", value)) == code, value


def test_shares_are_as_asked(records: list[Record]) -> None:
    labels = Counter(record.label.partition(":")[0] for record in records)
    assert len(records) == NUMBER + labels[RESENT]
    assert labels["malformed"] / NUMBER == pytest.approx(0.02, rel=0.2)
    assert labels[UNKNOWN_VERSION] / NUMBER == pytest.approx(0.01, rel=0.25)
    assert labels[RESENT] / NUMBER == pytest.approx(0.03, rel=0.15)
    assert labels[LATE] / NUMBER == pytest.approx(0.05, rel=0.3), "whole sessions are late, so this share is rough"


def test_late_events_happened_up_to_the_given_days_before_they_were_sent(records: list[Record]) -> None:
    late = [record.event for record in records if record.label == LATE]
    delays = [event.sent_at - event.event_ts for event in late if event]
    assert min(delays) >= timedelta(hours=1)
    assert timedelta(days=1) < max(delays) <= timedelta(days=2, seconds=1)
    for event in late:
        assert event
        assert int(event.event_id.replace("-", "")[:12], 16) == ids.milliseconds(event.event_ts)
    on_time = [record.event for record in records if record.label == GOOD]
    assert not {event.event_id for event in late if event} & {event.event_id for event in on_time if event}


def test_a_resent_event_follows_its_first_copy_with_the_same_content(records: list[Record]) -> None:
    first: dict[str, events.Event] = {}
    resent = 0
    for record in records:
        if record.event is None:
            continue
        if record.label != RESENT:
            assert record.event.event_id not in first
            first[record.event.event_id] = record.event
            continue
        resent += 1
        before = first[record.event.event_id]
        assert record.event.sent_at >= before.sent_at
        assert {**events_fields(record.event), "sent_at": None} == {**events_fields(before), "sent_at": None}
    assert resent


def events_fields(event: events.Event) -> dict[str, object]:
    return {name: getattr(event, name) for name in event.__struct_fields__}


@pytest.mark.parametrize(
    "bad", [{"late": 1.5}, {"resent": -0.1}, {"malformed": 0.6, "resent": 0.6}, {"late_days": 0}, {"malformed": float("nan")}]
)
def test_impossible_shares_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(BadInputError):
        Flaws(**bad)
