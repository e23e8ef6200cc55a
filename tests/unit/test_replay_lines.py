"""Lines that cannot be used are reported with their numbers, and cost none of the others."""

import gzip
from pathlib import Path

import pytest

from loglake.errors import BadInputError
from producers.replay import Mapped
from producers.replay_entries import Position
from producers.replay_lines import MAX_LINE_BYTES
from producers.replay_mapping import named_mapping
from producers.replay_rows import MAX_RECORD_LINES
from tests.unit.test_replay import HIT, PURCHASE, REES46, VIEW, bad, good, replayed

pytestmark = pytest.mark.unit


def branded(brand: str, user: str = "u1") -> str:
    return VIEW.replace("lenovo", brand).replace(",u1,", f",{user},")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("2019-10-01 00:00:02 UTC,view,45,1,,,10.00,u1\n", "cut_line"),
        ("2019-10-01 00:00:02 UTC,view,45,1,,,10.00,u1,s1,more\n", "extra_values"),
        ("2019-10-01 00:00:02 UTC,wish,45,1,,,10.00,u1,s1\n", "no_rule"),
        ("yesterday,view,45,1,,,10.00,u1,s1\n", "bad_time"),
        (",view,45,1,,,10.00,u1,s1\n", "bad_time"),
        ("1999-10-01 00:00:02 UTC,view,45,1,,,10.00,u1,s1\n", "impossible_time"),
        ("2029-10-01 00:00:02 UTC,view,45,1,,,10.00,u1,s1\n", "impossible_time"),
        ("2019-10-01 00:00:02 UTC,view,45,1,,,1O.00,u1,s1\n", "wrong_type"),
        ("2019-10-01 00:00:02 UTC,view,45,1,,,10.001,u1,s1\n", "impossible_amount"),
        ("2019-10-01 00:00:02 UTC,view,45,1,,,-1,u1,s1\n", "impossible_amount"),
        ("2019-10-01 00:00:02 UTC,purchase,45,1,,,,u1,s1\n", "missing_field"),
        ("2019-10-01 00:00:02 UTC,view,,1,,,1,u1,s1\n", "missing_field"),
        ("2019-10-01 00:00:02 UTC,view,45,1,,,1,u1,\n", "missing_field"),
        ("2019-10-01 00:00:02 UTC,view,45,1,,a\0b,1,u1,s1\n", "nul_character"),
        ('2019-10-01 00:00:02 UTC,view,45,1,,"open,1,u1,s1\n', "open_quote"),
        ('2019-10-01 00:00:02 UTC,view,45,1,,"a"b,1,u1,s1\n', "not_csv"),
        ("x" * (MAX_LINE_BYTES + 1) + "\n", "line_too_long"),
    ],
)
def test_a_bad_line_is_reported_with_its_number_and_the_others_are_mapped(tmp_path: Path, line: str, reason: str) -> None:
    found = replayed(tmp_path, REES46 + VIEW + "\n" + line + PURCHASE)
    assert bad(found) == [((4,), reason)]
    assert [each.event_type for each in good(found)] == ["product_view", "order_complete_response"]


def test_a_quoted_value_may_run_over_lines(tmp_path: Path) -> None:
    found = replayed(tmp_path, REES46 + '2019-10-01 00:00:02 UTC,view,45,1,,"two\nlines, ""quoted""",1,u1,s1\n' + "cut\n")
    [view] = good(found)
    assert view.product is not None
    assert view.product.brand == 'two\nlines, "quoted"'
    assert bad(found) == [((4,), "cut_line")]


def test_a_record_of_several_lines_ends_where_the_next_one_begins(tmp_path: Path) -> None:
    text = REES46 + branded('"three\n\nlines"')
    [outcome] = replayed(tmp_path, text)
    assert isinstance(outcome, Mapped)
    assert (outcome.lines, outcome.resume) == ((2,), Position(len(text), 5))


@pytest.mark.parametrize("between", [0, 1, MAX_RECORD_LINES + 3])
def test_a_quote_that_is_never_closed_costs_its_own_line_only(tmp_path: Path, between: int) -> None:
    """Whether the lines behind it hold quotes, which would close it in the wrong place, or the file ends before."""
    first = branded('"open') + branded("plain", "u2") * between + branded('"quoted"', "u3")
    text = REES46 + first + branded('"open') + branded("plain", "u4")
    found = replayed(tmp_path, text)
    assert bad(found) == [((2,), "open_quote"), ((4 + between,), "open_quote")]
    assert [each.user.user_id for each in good(found) if each.user] == ["u2"] * between + ["u3", "u4"]


def test_a_gzip_file_that_breaks_off_keeps_what_came_before(tmp_path: Path) -> None:
    found = replayed(tmp_path, gzip.compress((REES46 + VIEW + PURCHASE * 5000).encode())[:-20])
    assert bad(found)[-1][1] in ("gzip_ends_early", "cut_line")
    assert good(found)[0].event_type == "product_view"


@pytest.mark.timeout(20)
@pytest.mark.parametrize("hostile", ["c [", ' "', '\\"', ' [x] "', '" '])
def test_a_hostile_line_of_a_log_takes_no_longer_than_others(tmp_path: Path, hostile: str) -> None:
    found = replayed(tmp_path, HIT.format(path="/", status=200) + "a b " + hostile * (1_000_000 // len(hostile)) + "\n")
    assert bad(found) == [((2,), "not_combined")]


def test_a_header_without_a_column_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="its header has no column 'event_time', which mapping rees46 needs"):
        replayed(tmp_path, "a,b\n1,2\n", named_mapping("rees46"))


def test_a_header_that_names_a_column_twice_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="its header has more than one column 'brand', which mapping rees46 needs"):
        replayed(tmp_path, REES46.replace("\n", ",brand\n"), named_mapping("rees46"))
