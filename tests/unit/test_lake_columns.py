"""What a lake table lacks of the contract: found at any depth, added in the contract's order; anything else is refused."""

import pytest
from pyspark.sql.types import ArrayType, IntegerType, LongType, StringType, StructField, StructType

from consumers.lake_columns import Addition, additions
from loglake.errors import SchemaError

pytestmark = pytest.mark.unit
TEXT, NUMBER = StringType(), IntegerType()


def columns(**types: object) -> StructType:
    return StructType([StructField(name, kind) for name, kind in types.items()])  # type: ignore[arg-type]


WANTED = columns(first=TEXT, country=TEXT, items=ArrayType(columns(sku=TEXT, price=NUMBER)))


def test_a_table_that_has_everything_lacks_nothing() -> None:
    assert additions(WANTED, WANTED) == ()


def test_each_new_field_comes_after_the_one_before_it_in_the_contract() -> None:
    held = columns(items=ArrayType(columns(sku=TEXT)))

    found = additions(held, WANTED)

    assert found == (
        Addition(("first",), "string", ""),
        Addition(("country",), "string", "first"),
        Addition(("items", "element", "price"), "int", "sku"),
    )
    assert [addition.clause for addition in found] == [
        "`first` string FIRST",
        "`country` string AFTER `first`",
        "`items`.`element`.`price` int AFTER `sku`",
    ]


def test_a_new_column_is_described_by_the_contract() -> None:
    assert Addition(("user_age",), "int", "user_sex").clause == "`user_age` int COMMENT 'Age in years' AFTER `user_sex`"


@pytest.mark.parametrize(
    ("held", "told"),
    [
        (
            columns(first=TEXT, country=NUMBER, items=WANTED["items"].dataType),
            "column country of the lake is int, the contract says string",
        ),
        (
            columns(first=TEXT, country=TEXT, items=ArrayType(columns(sku=TEXT, price=LongType()))),
            "column items.element.price of the lake is bigint, the contract says int: columns are only ever added",
        ),
        (StructType([*WANTED.fields, StructField("gone", TEXT)]), "column gone of the lake is not in the contract"),
    ],
)
def test_any_other_change_is_refused(held: StructType, told: str) -> None:
    with pytest.raises(SchemaError, match=told):
        additions(held, WANTED)
