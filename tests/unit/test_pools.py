"""The pools of users and products."""

from pathlib import Path

import pytest
from msgspec import structs

from loglake.errors import BadInputError
from producers import pools
from producers.pools import Recipe

pytestmark = pytest.mark.unit
SMALL = Recipe(users=60, products=40, locales=("en_US", "de_DE", "ja_JP"))


def test_same_recipe_gives_same_pools() -> None:
    assert pools.make(SMALL) == pools.make(SMALL)
    assert pools.make(SMALL) != pools.make(structs.replace(SMALL, seed=2))


def test_pools_have_the_size_and_locales_asked_for() -> None:
    made = pools.make(Recipe(users=30, products=20, locales=("de_DE", "ja_JP")))
    assert (len(made.users), len(made.products)) == (30, 20)
    assert {user.country for user in made.users} == {"Germany", "Japan"}
    assert all(user.city in made.cities[user.country] for user in made.users)


def test_identifiers_and_user_names_are_unique() -> None:
    made = pools.make(SMALL)
    for values in ([u.user_id for u in made.users], [u.username for u in made.users], [p.product_id for p in made.products]):
        assert len(set(values)) == len(values)


def test_pools_are_written_on_first_use_and_kept(tmp_path: Path) -> None:
    made = pools.load(tmp_path / "pools", SMALL)
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "pools").iterdir()}

    again = pools.load(tmp_path / "pools", SMALL)

    assert again == made == pools.make(SMALL)
    assert before.keys() == {"users.json", "products.json"}
    assert before == {path.name: path.stat().st_mtime_ns for path in (tmp_path / "pools").iterdir()}


def test_another_recipe_replaces_the_files(tmp_path: Path) -> None:
    pools.load(tmp_path, SMALL)
    assert len(pools.load(tmp_path, Recipe(users=5, products=5)).users) == 5


def test_a_damaged_file_is_made_anew(tmp_path: Path) -> None:
    pools.load(tmp_path, SMALL)
    users = tmp_path / "users.json"
    for damage in (b"{", users.read_bytes().replace(b"u000001", b"\xff")):
        users.write_bytes(damage)
        assert pools.load(tmp_path, SMALL) == pools.make(SMALL)


@pytest.mark.parametrize("bad", [{"users": 0}, {"products": -1}, {"locales": ("xx_XX",)}, {"locales": ()}])
def test_impossible_recipes_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(BadInputError):
        Recipe(**bad)  # type: ignore[arg-type]


def test_a_locale_of_no_country_is_refused() -> None:
    with pytest.raises(BadInputError, match="locale en_MS cannot be used"):
        pools.make(Recipe(users=1, products=1, locales=("en_MS",)))
