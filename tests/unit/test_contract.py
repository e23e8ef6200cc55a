"""The contract and what is derived from it."""

import json
import re

import jsonschema
import msgspec
import pytest

from loglake import columns, dictionary, events, tables, warehouse
from loglake.setting_groups import LakeSettings
from tests.sample import event

pytestmark = pytest.mark.unit


def test_generated_pages_follow_from_the_contract():
    for path, content in dictionary.pages().items():
        assert path.read_text() == content, f"{path.name}: run `loglake contract --write`"


def test_every_field_of_the_contract_is_one_column():
    fields = [
        (name if name in events.GROUPS else "", inner.name)
        for name in ["", *events.GROUPS]
        for inner in msgspec.structs.fields(events.GROUPS[name] if name else events.Event)
        if inner.name not in events.GROUPS
    ]
    assert sorted(fields) == sorted((column.group, column.field) for column in columns.COLUMNS)
    assert len({column.name for column in columns.LAKE_COLUMNS}) == len(columns.LAKE_COLUMNS)


def test_every_column_says_what_it_is():
    assert [column.name for column in columns.LAKE_COLUMNS if len(column.description) < 5] == []


def test_group_prefix_is_not_doubled():
    names = {column.name for column in columns.COLUMNS}
    assert {"user_id", "user_email", "device_os", "order_amount", "order_items", "product_id"} <= names
    assert not any(name.startswith(("user_user", "product_product", "order_order")) for name in names - {"user_username"})


def test_lake_and_warehouse_have_every_column():
    ddl, raw = tables.create_table(LakeSettings()), warehouse.raw_log_events_ddl()
    for column in columns.COLUMNS:
        assert f"`{column.name}` " in ddl
        assert f'"{column.name}" {column.postgres}' in raw


def test_money_is_never_a_float():
    assert not re.search(r"\b(float|double|real)\b", tables.create_table(LakeSettings()))
    assert not re.search(r"\b(float|double|real)\b", warehouse.raw_log_events_ddl())


def test_published_schema_accepts_what_we_encode_and_refuses_what_it_must():
    schema = json.loads(json.dumps(events.json_schema()))
    document = json.loads(events.encode(event()))
    jsonschema.validate(document, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**document, "event_type": "teleport"}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({key: value for key, value in document.items() if key != "event_id"}, schema)


def test_every_event_type_has_its_requirements():
    assert set(events.REQUIRED) == set(events.EventType.__args__)
