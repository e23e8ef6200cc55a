"""Event ids are the same each time a file is replayed, and differ within it."""

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.replay_entries import Identity
from tests.unit.test_replay import PURCHASE, REES46, VIEW, ids, of, replayed

pytestmark = pytest.mark.unit


def test_the_same_file_gives_the_same_ids_wherever_and_however_it_is_stored(tmp_path: Path) -> None:
    text = (REES46 + VIEW + VIEW + PURCHASE).encode()
    plain, moved, packed = tmp_path / "a.csv", tmp_path / "deep" / "b.csv", tmp_path / "a.csv.gz"
    moved.parent.mkdir()
    plain.write_bytes(text)
    moved.write_bytes(b"\xef\xbb\xbf" + text.replace(b"\n", b"\r\n"))
    packed.write_bytes(gzip.compress(text))
    assert ids(of(plain)) == ids(of(moved)) == ids(of(packed))


def test_identical_lines_of_a_file_are_different_events(tmp_path: Path) -> None:
    once, twice = ids(replayed(tmp_path, REES46 + VIEW)), ids(replayed(tmp_path, REES46 + VIEW + PURCHASE + VIEW))
    assert len(set(twice)) == 3
    assert twice[0] == once[0]


@given(st.lists(st.binary(max_size=3), max_size=40), st.binary(max_size=5))
def test_ids_depend_on_what_came_before_only_for_repeats(contents: list[bytes], other: bytes) -> None:
    first, again, elsewhere = Identity("a"), Identity("a"), Identity("b")
    bits = [first.bits(content) for content in contents]
    assert bits == [again.bits(content) for content in contents]
    assert len(set(bits)) == len(bits)
    assert set(bits).isdisjoint(elsewhere.bits(content) for content in contents)
    if other not in contents:
        assert first.bits(other) == Identity("a").bits(other)
