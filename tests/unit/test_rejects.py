"""Rejected records: which are meant, what a replay makes of one, and what an operator may not say."""

import dataclasses
import json

import pytest

from loglake import decode, events, rejects, timerange
from loglake.cli.chosen import offsets_of
from loglake.erasure import Position
from loglake.errors import BadInputError
from loglake.rejects import Rejected, Selection, parse_position
from loglake.settings import settings
from loglake.timerange import TimeRange
from producers.fix import Fix
from producers.replay_rejects import Replayed, record_of
from tests.sample import NOW, event, event_id

pytestmark = pytest.mark.unit
GOOD = events.encode(event(1))


def rejected(payload, **changes):
    nothing = dict.fromkeys(field.name for field in dataclasses.fields(Rejected))
    place = {"topic": "t", "partition": 0, "offset": 7, "kafka_timestamp": NOW, "state": "open", "payload": payload, "arrived": False}
    return Rejected(**{**nothing, **place, **changes})


def test_a_record_that_passes_by_now_is_sent_as_it_is():
    record = record_of(rejected(GOOD), None)
    assert (record.key, record.value, record.event) == (b"session-1", GOOD, event(1))


def test_a_record_that_does_not_is_told_why():
    with pytest.raises(decode.Reject, match="wrong_type"):
        record_of(rejected(GOOD.replace(b'"web"', b"5")), None)


def test_once_it_was_given_an_id_it_is_sent_under_no_other():
    fix = Fix(fix="f", id_from_position=True)
    broken = json.dumps({**json.loads(GOOD), "event_id": "42", "id": event_id(9)}).encode()
    made = record_of(rejected(broken), fix).event
    assert record_of(rejected(broken, event_id=made.event_id), fix).event == made
    with pytest.raises(decode.Reject, match=f"as event {made.event_id} before, and would now be {event_id(9)}"):
        record_of(rejected(broken, event_id=made.event_id), Fix(fix="g", rename={"id": "event_id"}))


def test_what_was_erased_is_not_sent_however_good_it_is():
    with pytest.raises(decode.Reject, match="erased: a person was forgotten"):
        record_of(rejected(GOOD, state="given_up", erased=True), None)


def test_a_position_is_written_and_read_the_same_way():
    place = Position("my.topic-1", 3, 42)
    assert parse_position(rejects.show_position(place)) == place
    assert parse_position("3/42") == Position(settings().kafka.topic, 3, 42)
    for text in ("", "42", "a/b/c", "t/1/-2", "t/1/2/3", "t/²/1"):
        with pytest.raises(BadInputError, match="write TOPIC/PARTITION/OFFSET"):
            parse_position(text)


def test_offsets_are_one_or_a_range():
    assert (offsets_of(None), offsets_of("17"), offsets_of("17-42")) == ((None, None), (17, 17), (17, 42))
    for text in ("", "a", "-3", "9-3", "1-b"):
        with pytest.raises(BadInputError, match="write 17, or 17-42"):
            offsets_of(text)


def test_a_selection_takes_known_codes_and_states_only():
    assert Selection(states=("open",)).is_everything
    assert not Selection("empty").is_everything
    with pytest.raises(BadInputError, match="reject code 'emty' is none: null_value, empty"):
        Selection("emty")
    with pytest.raises(BadInputError, match="state 'closed' is none: open"):
        Selection(states=("closed",))


def test_times_are_utc_unless_they_say_otherwise():
    assert timerange.parse("2026-03-04T12:30", "2026-03-04T14:30+01:00") == TimeRange(NOW, NOW.replace(hour=13))
    assert timerange.parse(None, "") == TimeRange()
    assert timerange.parse_closed("2026-03-04T12:30Z", "2026-03-05")[0] == NOW
    for start, end, told in (("noon", None, "from 'noon'"), ("2026-03-05", "2026-03-04", "is not before")):
        with pytest.raises(BadInputError, match=told):
            timerange.parse(start, end)
    with pytest.raises(BadInputError, match="both needed"):
        timerange.parse_closed("2026-03-04", None)


def test_bytes_are_shown_as_text_where_they_are():
    assert rejects.readable(b'{"a": "\xc3\xbc"}') == '{"a": "ü"}'
    assert rejects.readable(b"\xff\x00") == "ff 00"
    assert rejects.readable(b"a\0") == "61 00"
    assert rejects.readable(None) == "(no value)"
    assert rejects.verdict(GOOD) is None
    assert (rejects.verdict(b"{") or "").startswith("not_json: ")


def test_what_a_replay_did_in_one_line():
    done = Replayed(5, 2, {"empty": 1, "wrong_type": 2}, dry_run=False, batch="ab12")
    assert done.note == "replay ab12: of 5 rejected records 2 were sent and acknowledged; 3 failed: wrong_type 2, empty 1"
    tried = dataclasses.replace(done, dry_run=True)
    assert json.loads(tried.as_json())["note"] == "dry run: of 5 rejected records 2 would be replayed; 3 would fail: wrong_type 2, empty 1"
