"""The names of datasets by OpenLineage's naming rules, and what is known of each: its columns, its version, its other name."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import urlsplit

from openlineage.client.facet_v2 import (
    DatasetFacet,
    catalog_dataset,
    column_lineage_dataset,
    dataset_version_dataset,
    schema_dataset,
    symlinks_dataset,
)
from openlineage.client.naming.dataset import HDFS, DatasetNaming, Kafka, Postgres

from loglake import tables
from loglake.columns import COLUMNS, LAKE_COLUMNS
from loglake.settings import settings


class Field(NamedTuple):
    """A column of a dataset, by the dataset's name and its own."""

    namespace: str
    name: str
    column: str


class ColumnText(NamedTuple):
    """What is told of a column: its type and its description, "" for none."""

    type: str
    description: str = ""


@dataclass(frozen=True)
class Data:
    """A dataset: its two names and its facets."""

    namespace: str
    name: str
    facets: Mapping[str, DatasetFacet] = field(default_factory=dict)

    def column(self, name: str) -> Field:
        return Field(self.namespace, self.name, name)

    def having(self, **facets: DatasetFacet) -> "Data":
        """The same with further facets."""
        return Data(self.namespace, self.name, {**self.facets, **facets})


def topic() -> Data:
    """The topic, with the fields of the contract (`user.city`). Its name space is the first broker of the list."""
    config = settings().kafka
    host, _, port = config.brokers.partition(",")[0].rpartition(":")
    fields = {topic_field(column.group, column.field): ColumnText(str(column.arrow), column.description) for column in COLUMNS}
    return _data(Kafka(host, port, config.topic), schema=columns_facet(fields))


def topic_field(group: str, name: str) -> str:
    """A field of an event as it stands in the record's JSON."""
    return f"{group}.{name}" if group else name


def lake(snapshot: int | None = None) -> Data:
    """The lake's table: by the folder of its files, and beside it by its name in the Iceberg catalog; `snapshot` is the version meant."""
    config = settings()
    host, _, port = urlsplit(config.hdfs.uri).netloc.partition(":")
    name = f"{tables.NAMESPACE}.{tables.TABLE}"
    catalog = f"{_postgres_namespace()}/{config.postgres.catalog_database}"
    # A name service of HDFS has no port, and is a name space by itself.
    path = f"{config.lake.path}/{tables.NAMESPACE}/{tables.TABLE}"
    found = _data(HDFS(host, port, path)) if port else Data(f"hdfs://{host}", path)
    found = found.having(
        schema=columns_facet({column.name: ColumnText(str(column.arrow), column.description) for column in LAKE_COLUMNS}),
        symlinks=symlinks_dataset.SymlinksDatasetFacet([symlinks_dataset.Identifier(catalog, name, "TABLE")]),
        catalog=catalog_dataset.CatalogDatasetFacet("iceberg", "jdbc", tables.CATALOG, catalog, config.hdfs.uri + config.lake.path),
    )
    return found if snapshot is None else found.having(version=dataset_version_dataset.DatasetVersionDatasetFacet(str(snapshot)))


def relation(schema: str, name: str, database: str | None = None) -> Data:
    """A table or view of the warehouse."""
    config = settings().postgres
    return _data(Postgres(config.host, str(config.port), database or config.database, schema, name))


def columns_facet(columns: Mapping[str, ColumnText]) -> DatasetFacet:
    """The schema facet: columns in order."""
    fields = [
        schema_dataset.SchemaDatasetFacetFields(name, text.type, text.description or None, ordinal_position=number)
        for number, (name, text) in enumerate(columns.items(), 1)
    ]
    return schema_dataset.SchemaDatasetFacet(fields)


def lineage_facet(columns: Mapping[str, Iterable[Field]]) -> DatasetFacet:
    """The column lineage facet: column → the columns it is made of; one that is made of none (a count) is left out."""
    found = {name: [column_lineage_dataset.InputField(*source) for source in sources] for name, sources in columns.items()}
    return column_lineage_dataset.ColumnLineageDatasetFacet(
        {name: column_lineage_dataset.Fields(sources) for name, sources in found.items() if sources}
    )


def _data(naming: DatasetNaming, **facets: DatasetFacet) -> Data:
    return Data(naming.get_namespace(), naming.get_name(), facets)


def _postgres_namespace() -> str:
    return relation("public", "any").namespace
