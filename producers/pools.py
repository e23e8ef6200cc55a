"""The pools the generator draws from: users and products, made once with Faker and kept as JSON in the runtime folder.

Faker makes about a thousand rows a second, so it makes the pools and never an event. A pool is a pure function of its
size, its locales and its seed, and its file records them: asking for another pool makes it anew.
"""

import os
import random
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import msgspec
from faker import Faker
from faker.config import AVAILABLE_LOCALES
from msgspec import Struct

from loglake.errors import BadInputError
from producers.catalogue import ADJECTIVES, CLIENTS, LOCALES, SHELVES

DEFAULT_USERS = 2_000
DEFAULT_PRODUCTS = 500
_CITIES_PER_LOCALE = 40
_SEXES, _SEX_WEIGHTS = ("female", "male", "other"), (49, 49, 2)


class PoolUser(Struct, frozen=True):
    """A user as users.json holds one. `ip` is the address they usually connect from, `client` an index into CLIENTS."""

    user_id: str
    username: str
    email: str
    sex: str
    age: int
    country: str
    city: str
    ip: str
    client: int


class PoolProduct(Struct, frozen=True):
    """A product as products.json holds one: its state when the shop opens."""

    product_id: str
    product_name: str
    category: str
    subcategory: str
    brand: str
    description: str
    price: Decimal
    stock: int
    rating: Decimal


class Recipe(Struct, frozen=True):
    """What a pool is made from."""

    users: int = DEFAULT_USERS
    products: int = DEFAULT_PRODUCTS
    locales: tuple[str, ...] = tuple(LOCALES)
    seed: int = 1

    def __post_init__(self) -> None:
        if self.users < 1 or self.products < 1:
            raise BadInputError(f"a pool needs at least one user and one product, not {self.users} and {self.products}")
        unknown = [locale for locale in self.locales if locale not in AVAILABLE_LOCALES]
        if unknown or not self.locales:
            raise BadInputError(
                f"unknown locale {', '.join(unknown) or '(none)'}: use Faker's names, such as {', '.join(list(LOCALES)[:4])}"
            )


class Pools(Struct, frozen=True):
    """Users and products, and the cities of each country that people move between."""

    users: tuple[PoolUser, ...]
    products: tuple[PoolProduct, ...]
    cities: dict[str, tuple[str, ...]]


class _UsersFile(Struct, frozen=True):
    recipe: Recipe
    cities: dict[str, tuple[str, ...]]
    users: tuple[PoolUser, ...]


class _ProductsFile(Struct, frozen=True):
    recipe: Recipe
    products: tuple[PoolProduct, ...]


def make(recipe: Recipe) -> Pools:
    """The pools of a recipe; the same recipe gives the same pools."""
    fakers = {locale: _faker(locale, recipe.seed) for locale in recipe.locales}
    countries = {locale: _country(locale, faker) for locale, faker in fakers.items()}
    found: dict[str, set[str]] = {country: set() for country in countries.values()}
    for locale, faker in fakers.items():
        found[countries[locale]].update(faker.city() for _ in range(_CITIES_PER_LOCALE))
    cities = {country: tuple(sorted(names)) for country, names in found.items()}
    rng = random.Random(f"users {recipe.seed}")  # noqa: S311 - no secret
    chosen = rng.choices(recipe.locales, [LOCALES.get(locale, 1) for locale in recipe.locales], k=recipe.users)
    users = tuple(_user(number, fakers[locale], countries[locale], cities, rng) for number, locale in enumerate(chosen, 1))
    rng = random.Random(f"products {recipe.seed}")  # noqa: S311
    words = _faker("en_US", recipe.seed)
    return Pools(users, tuple(_product(number, words, rng) for number in range(1, recipe.products + 1)), cities)


def load(folder: Path, recipe: Recipe) -> Pools:
    """The pools in `folder`, made there first when there are none, or those there come from another recipe."""
    users_file, products_file = folder / "users.json", folder / "products.json"
    try:
        users = msgspec.json.decode(users_file.read_bytes(), type=_UsersFile)
        products = msgspec.json.decode(products_file.read_bytes(), type=_ProductsFile)
    except (FileNotFoundError, msgspec.MsgspecError, UnicodeDecodeError):
        return write(folder, recipe)
    if users.recipe != recipe or products.recipe != recipe:
        return write(folder, recipe)
    return Pools(users.users, products.products, users.cities)


def write(folder: Path, recipe: Recipe) -> Pools:
    """Make the pools and put them into `folder`, each file whole or not at all."""
    pools = make(recipe)
    contents = {
        "users.json": _UsersFile(recipe, pools.cities, pools.users),
        "products.json": _ProductsFile(recipe, pools.products),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            draft = folder / f".{name}.{os.getpid()}.new"  # another producer may be making them, too
            draft.write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=1))
            draft.rename(folder / name)
    except OSError as error:
        raise BadInputError(
            f"pools cannot be written to {folder}: {error.strerror}; LOGLAKE_RUNTIME_DIR names the runtime folder"
        ) from error
    return pools


def _faker(locale: str, seed: int) -> Faker:
    faker = Faker(locale)
    faker.seed_instance(f"{locale} {seed}")
    return faker


def _country(locale: str, faker: Faker) -> str:
    try:
        return faker.current_country()
    except ValueError as error:
        raise BadInputError(f"locale {locale} cannot be used: Faker knows no country for it") from error


def _user(number: int, faker: Faker, country: str, cities: dict[str, tuple[str, ...]], rng: random.Random) -> PoolUser:
    username = f"{faker.user_name()}{number}"  # the number keeps it unique
    return PoolUser(
        user_id=f"u{number:06d}",
        username=username,
        email=f"{username}@{faker.safe_domain_name()}",
        sex=rng.choices(_SEXES, _SEX_WEIGHTS)[0],
        age=min(90, max(16, round(rng.gauss(38, 13)))),
        country=country,
        city=rng.choice(cities[country]),
        ip=faker.ipv4_public(),
        client=_weighted(rng, [client.weight for client in CLIENTS]),
    )


def _product(number: int, words: Faker, rng: random.Random) -> PoolProduct:
    shelf = SHELVES[number % len(SHELVES)]
    brand, noun, adjective = rng.choice(shelf.brands), rng.choice(shelf.nouns), rng.choice(ADJECTIVES)
    # More cheap things than dear ones: the cube of a uniform number, then a price that ends in .99, .49 or .00.
    price = int(shelf.lowest + (shelf.highest - shelf.lowest) * rng.random() ** 3)
    return PoolProduct(
        product_id=f"p{number:05d}",
        product_name=f"{brand} {adjective} {noun}",
        category=shelf.category,
        subcategory=shelf.subcategory,
        brand=brand,
        description=words.sentence(nb_words=12),
        price=Decimal(price) + Decimal(rng.choice(("0.99", "0.49", "0.00"))),
        stock=rng.randint(20, 600),
        rating=Decimal(round(min(5.0, max(1.0, rng.gauss(4.1, 0.5))), 1)).quantize(Decimal("0.1")),
    )


def _weighted(rng: random.Random, weights: Sequence[float]) -> int:
    return rng.choices(range(len(weights)), weights)[0]
