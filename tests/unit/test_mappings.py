"""The mapping language: what an expression gives, and that an error in a mapping file names the file and the key."""

from pathlib import Path

import pytest
import yaml

from loglake.errors import BadInputError
from loglake.settings import PROJECT
from producers.replay import Mapped, outcomes
from producers.replay_entries import Unmapped
from producers.replay_expression import Expression
from producers.replay_lines import read_lines
from producers.replay_mapping import built_in_mappings, load_mapping, named_mapping

pytestmark = pytest.mark.unit
MINIMAL = {
    "source": "mine",
    "format": "csv",
    "columns": ["when", "what"],
    "time": {"from": "{when}"},
    "fields": {"service": "mine", "session_id": "{what}", "page.url": "{what}"},
    "rules": [{"event_type": "page_view"}],
}


def written(folder: Path, **changes: object) -> Path:
    path = folder / "my.yaml"
    path.write_text(yaml.safe_dump({**MINIMAL, **changes}))
    return path


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ({"from": "{a}"}, "x.y-1"),
        ({"from": "id {a}/{b}"}, "id x.y-1/q%20r+s"),
        ({"from": "constant"}, "constant"),
        ({"from": "id {empty}"}, None),
        ({"from": "{unknown}"}, None),
        ({"from": "{empty}", "default": "none of {a}"}, "none of x.y-1"),
        ({"from": "{a}", "match": r"^(\w)\."}, "x"),
        ({"from": "{a}", "match": r"\d+"}, "1"),
        ({"from": "{a}", "match": "(z)", "default": "-"}, "-"),
        ({"from": "{a}", "cases": {"^q": "Q", "^x": "X", ".": "rest"}}, "X"),
        ({"from": "{b}", "unquote": True}, "q r s"),
        ({"from": "{c}", "absolute": True}, "7.50"),
        ({"from": "{a}", "hash": True}, "e91d02494a05e2bc3529dd8723602557"),
    ],
)
def test_an_expression_gives_a_text_or_null(expression: dict[str, object], value: str | None) -> None:
    row = {"a": "x.y-1", "b": "q%20r+s", "c": "-7.50", "empty": None}
    assert Expression.model_validate(expression).value(row) == value


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sorce": "x"}, "sorce: Extra inputs are not permitted"),
        ({"source": "My Shop"}, "source: "),
        ({"format": "xml"}, "format: "),
        ({"fields": {**MINIMAL["fields"], "user.nickname": "{what}"}}, "fields.user.nickname: 'user.nickname' is no field"),  # type: ignore[dict-item]
        ({"fields": {**MINIMAL["fields"], "event_id": "{what}"}}, "fields.event_id: 'event_id' is no field"),  # type: ignore[dict-item]
        ({"fields": {**MINIMAL["fields"], "user.city": "{town}"}}, "fields.user.city: the source has no column 'town'"),  # type: ignore[dict-item]
        ({"fields": {**MINIMAL["fields"], "user.city": "{what"}}, "fields.user.city.from: '{what': a brace"),  # type: ignore[dict-item]
        ({"fields": {"service": "x"}}, "fields: session_id is needed for page_view"),
        ({"rules": [{"event_type": "page_veiw"}]}, "rules.0.event_type: 'page_veiw' is no event type"),
        ({"rules": [{"event_type": "page_view", "when": {"what": "("}}]}, "rules.0.when.what: '(' is no regular expression"),
        ({"rules": [{"event_type": "page_view", "when": {"wat": "x"}}]}, "rules.0.when: the source has no column 'wat'"),
        ({"rules": [{"event_type": "page_view", "skip": "x"}]}, "rules.0: a rule needs either event_type or skip"),
        ({"rules": [{"event_type": "order_request"}]}, "item is needed for order_request"),
        ({"time": {"from": "{when}", "zone": "Europe/Lodnon"}}, "time.zone: 'Europe/Lodnon' is no time zone"),
        ({"encoding": "utf-9"}, "encoding: 'utf-9'"),
        ({"columns": []}, "columns are needed"),
        ({"passthrough": True}, "passthrough sends"),
        ({"passthrough": True, "format": "ndjson", "fields": {}, "rules": [], "time": None, "group_by": "{what}"}, "passthrough sends"),
    ],
)
def test_a_wrong_key_is_one_line_with_file_and_key(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    path = written(tmp_path, **changes)
    with pytest.raises(BadInputError) as caught:
        load_mapping(path)
    assert str(caught.value).startswith(f"mapping {path}: {message}")
    assert "\n" not in str(caught.value)


def test_broken_yaml_is_one_line_with_its_line_number(tmp_path: Path) -> None:
    path = tmp_path / "my.yaml"
    path.write_text("source: a\nformat: [csv\nrules: x: y\n")
    with pytest.raises(BadInputError, match=r"my.yaml, line 3: ") as caught:
        load_mapping(path)
    assert "\n" not in str(caught.value)


def test_a_mapping_is_named_by_its_source_or_its_file(tmp_path: Path) -> None:
    assert named_mapping("rees46").source == "rees46"
    assert named_mapping(str(written(tmp_path))).source == "mine"
    with pytest.raises(BadInputError, match="neither a file nor built in: access_log, loglake, rees46, uci_online_retail"):
        named_mapping("nothing")


def test_the_example_of_the_guide_works(tmp_path: Path) -> None:
    guide = (PROJECT / "docs" / "replay.md").read_text()
    mapping = tmp_path / "my.yaml"
    mapping.write_text(guide.split("```yaml\n")[1].split("```")[0])
    file = tmp_path / "my.csv"
    file.write_text(
        "at,what,sku,price,who\n01.07.2024 13:00,look,a,1.50,bob\n01.07.2024 13:00,test1,a,1.50,\n01.07.2024 13:01,buy,a,1.50,\n"
    )
    view, skipped, order = outcomes(file, read_lines(file), load_mapping(mapping))
    assert isinstance(view, Mapped)
    assert view.record.event is not None
    assert (view.record.event.session_id, view.record.event.event_ts.isoformat()) == ("bob", "2024-07-01T11:00:00+00:00")
    assert isinstance(skipped, Unmapped)
    assert skipped.reason == "skipped: a test"
    assert isinstance(order, Mapped)
    assert order.record.event is not None
    assert order.record.event.order is not None
    assert order.record.event.order.order_id == f"my-{order.record.event.event_id}"


def test_the_built_in_mappings_are_those_the_guide_names() -> None:
    assert sorted(built_in_mappings()) == ["access_log", "loglake", "rees46", "uci_online_retail"]
