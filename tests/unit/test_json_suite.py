"""The decoder against JSONTestSuite: what is no JSON is refused, what is JSON is understood, and nothing else escapes."""

from datetime import UTC, datetime

import pytest

from loglake.decode import REASONS, Reject, decode
from tests.realdata import REAL_DATA, real_data

pytestmark = pytest.mark.unit
NOW = datetime(2026, 3, 4, tzinfo=UTC)
#: Reasons that say "this is no JSON text".
NOT_JSON = {"not_json", "not_utf8", "empty"}
#: Reasons for JSON that the contract refuses on purpose, wherever in the document it is.
REFUSED_ON_PURPOSE = {"duplicate_key", "nul_character", "lone_surrogate"}
FOLDER = "json_test_suite", "test_parsing"


def names(prefix: str) -> list[str]:
    return sorted(path.name for path in REAL_DATA.joinpath(*FOLDER).glob(f"{prefix}_*.json")) or [f"{prefix}_absent"]


def reason_of(name: str) -> str:
    """The code of the Reject; a document of the suite is never an event, and any other exception fails the test."""
    with pytest.raises(Reject) as caught:
        decode(real_data(*FOLDER, name).read_bytes(), NOW)
    assert caught.value.code in REASONS
    return caught.value.code


@pytest.mark.parametrize("name", names("n"))
def test_no_json_is_refused_as_such(name: str) -> None:
    assert reason_of(name) in NOT_JSON


@pytest.mark.parametrize("name", names("y"))
def test_json_is_never_called_no_json(name: str) -> None:
    assert reason_of(name) not in NOT_JSON


@pytest.mark.parametrize("name", names("i"))
def test_undecided_json_is_refused_in_either_way(name: str) -> None:
    reason_of(name)


def test_the_suite_is_whole() -> None:
    real_data(*FOLDER)
    assert (len(names("y")), len(names("n")), len(names("i"))) == (95, 188, 35)
