"""A fix file: what each of its parts does to a rejected record, and what is wrong with one that cannot be used."""

import json
import time
from datetime import timedelta
from pathlib import Path

import pytest

from loglake import decode, events
from loglake.decode import Reject
from loglake.erasure import Position
from loglake.errors import BadInputError
from producers.fix import Fix, event_id_of, load_fix
from tests.sample import NOW, event, event_id

pytestmark = pytest.mark.unit
PLACE = Position("t", 0, 7)


def spoiled(**changes):
    """A good event's document, with these keys changed; None takes one away."""
    document = {**json.loads(events.encode(event(1))), **changes}
    return {name: value for name, value in document.items() if value is not None}


def repaired(fix, document):
    """The event that a fix makes of a document."""
    payload = document if isinstance(document, bytes) else json.dumps(document).encode()
    return decode.decode(Fix(fix="f", **fix).applied(payload, PLACE, NOW), NOW)


def verdict(payload, fix=None):
    """What the decoder says of these bytes, after the fix if there is one: the event, or the code."""
    try:
        return decode.decode(fix.applied(payload, PLACE, NOW) if fix else payload, NOW)
    except Reject as reject:
        return reject.code


@pytest.mark.parametrize(
    ("fix", "changes"),
    [
        ({"rename": {"latency": "latency_ms"}}, {"latency_ms": None, "latency": 30}),
        ({"rename": {"client.os": "device.os"}}, {"device": {**spoiled()["device"], "os": None}, "client": {"os": "iOS"}}),
        ({"drop": ["error"]}, {"error": "none"}),
        ({"values": {"level": {"LOUD": "INFO"}}}, {"level": "LOUD"}),
        ({"values": {"status_code": {"9999": 200}}}, {"status_code": 9999}),
        ({"convert": {"latency_ms": "integer"}}, {"latency_ms": "30"}),
        ({"convert": {"service": "text"}, "values": {"service": {"5": "web"}}}, {"service": 5}),
        ({"convert": {"event_ts": "time"}}, {"event_ts": NOW.replace(tzinfo=None).isoformat()}),
        ({"convert": {"event_ts": "time"}}, {"event_ts": NOW.timestamp()}),
        ({"convert": {"event_ts": "time"}}, {"event_ts": int(NOW.timestamp() * 1000)}),
        ({"default": {"service": "web"}}, {"service": None}),
        ({"set": {"schema_version": 1}}, {"schema_version": 999}),
        ({"set": {"product.price": "12.50"}}, {"product": {**spoiled()["product"], "price": "-1"}}),
    ],
)
def test_each_part_makes_the_event_again(fix, changes):
    assert verdict(json.dumps(spoiled(**changes)).encode()) != event(1)
    assert repaired(fix, spoiled(**changes)) == event(1)


def test_bytes_of_another_encoding_become_text():
    document = spoiled(service="Zürich", product={"product_id": "p1"})
    payload = json.dumps(document, ensure_ascii=False).encode("latin-1")
    assert repaired({"encoding": "latin-1"}, payload).service == "Zürich"
    with pytest.raises(Reject, match="not_utf8"):
        repaired({}, payload)


def test_of_a_repeated_key_the_fix_says_which_counts():
    payload = json.dumps(spoiled()).encode()[:-1] + b',"level":"WARN"}'
    assert repaired({"repeated_keys": "first"}, payload).level == "INFO"
    assert repaired({"repeated_keys": "last"}, payload).level == "WARN"
    with pytest.raises(Reject, match="duplicate_key"):
        repaired({}, payload)


def test_an_event_without_a_usable_id_gets_the_same_one_each_time_and_no_other_record_does():
    made = repaired({"id_from_position": True}, spoiled(event_id="42")).event_id
    assert made == event_id_of(PLACE, NOW)
    others = {event_id_of(Position(*place), NOW) for place in (("t", 0, 8), ("t", 1, 7), ("u", 0, 7))}
    assert len({made, *others, event_id_of(PLACE, NOW + timedelta(milliseconds=1))}) == 5
    assert made[:13] == event_id(1, NOW)[:13]


def test_a_usable_id_is_kept():
    assert repaired({"set": {"service": "web"}, "id_from_position": True}, spoiled(service=5)).event_id == event_id(1)


@pytest.mark.parametrize(("payload", "code"), [(b"{", "not_json"), (b"[1]", "not_an_object"), (b"\xff", "not_utf8"), (None, "null_value")])
def test_what_is_no_document_stays_rejected(payload, code):
    with pytest.raises(Reject) as told:
        decode.decode(Fix(fix="f").applied(payload, PLACE, NOW), NOW)
    assert told.value.code == code


def test_a_value_that_cannot_be_converted_is_told():
    with pytest.raises(Reject, match="latency_ms cannot be converted to integer"):
        repaired({"convert": {"latency_ms": "integer"}}, spoiled(latency_ms="fast"))


#: Texts and JSON numbers that are dear or impossible to turn into a number, a time or a text.
HOSTILE = (
    "1e100000", "1e1000000", "-1e1000000", "1e-1000000", "0e1000000", "1e99999999999999999999", "NaN", "sNaN", "Infinity",
    "9" * 4000, "9" * 100_000, "0." + "9" * 100_000, "\ud800", "9999-12-31T23:59:59-23:59", "[" * 500 + "]" * 500, "{}", "true",
)  # fmt: skip


@pytest.mark.parametrize("kind", ["integer", "decimal", "text", "time"])
@pytest.mark.parametrize("field", ["latency_ms", "product.price", "event_ts", "service"])
def test_no_value_is_so_hostile_that_it_stops_a_replay(field, kind):
    template = json.dumps(spoiled()).replace(json.dumps(spoiled()["product"]["price"]), "12.5")
    fix = Fix.model_validate({"fix": "f", "convert": {field: kind}, "id_from_position": True})
    name = field.rpartition(".")[2]
    before = json.dumps(json.loads(template).get(name, 12.5))
    for value in HOSTILE:
        for written in (json.dumps(value), value):
            payload = template.replace(f'"{name}": {before}', f'"{name}": {written}').encode("utf-8", "surrogatepass")
            assert payload != template.encode()
            began = time.process_time()
            outcome = verdict(payload, fix)
            assert isinstance(outcome, events.Event) or outcome in decode.REASONS
            assert time.process_time() - began < 1


def test_an_integer_has_no_more_digits_than_64_bits_hold():
    fix = Fix(fix="f", convert={"latency_ms": "integer"})
    assert json.loads(fix.applied(b'{"latency_ms": "1e18"}', PLACE, NOW) or b"") == {"latency_ms": 10**18}
    with pytest.raises(Reject, match="wrong_type: latency_ms cannot be converted to integer"):
        fix.applied(b'{"latency_ms": "1e19"}', PLACE, NOW)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("fix: f\nrename: {a: level, b: colour}", "rename.b: 'colour' is no field of the contract"),
        ("fix: f\nset: {event_id: x}", "event_id cannot be set"),
        ("fix: f\nconvert: {level: shout}", "convert.level"),
        ("fix: f\nsett: {}", "sett"),
        ("rename: {}", "fix: Field required"),
        ("fix: f\nencoding: klingon", "encoding: unknown encoding"),
        ("- a", "holds keys such as"),
        ("fix: [", "line 1"),
    ],
)
def test_a_fix_that_cannot_be_used_is_one_clear_line(text: str, told: str, tmp_path: Path):
    path = tmp_path / "fix.yaml"
    path.write_text(text)
    with pytest.raises(BadInputError) as error:
        load_fix(path)
    assert told in str(error.value)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_fix_file_that_is_not_there(tmp_path: Path):
    with pytest.raises(BadInputError, match="cannot be read"):
        load_fix(tmp_path / "none.yaml")
