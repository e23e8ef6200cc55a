"""Events of a dbt run: one job per model or snapshot, from its inputs to its table, with columns and what each is made of.

All from dbt's own files of the run (manifest.json, run_results.json) and the columns that the warehouse has.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from openlineage.client.event_v2 import RunEvent, RunState
from openlineage.client.facet_v2 import documentation_dataset
from openlineage.client.uuid import generate_new_uuid
from sqlglot.errors import SqlglotError

from loglake import clients
from loglake.lineage import columns, datasets
from loglake.lineage.datasets import ColumnText, Data, Field
from loglake.lineage.events import JobRun, Parent, Read, Written

_KIND = ("BATCH", "DBT", "MODEL")
_KINDS = ("model", "snapshot")
_COLUMNS = """
select nspname, relname, attname, format_type(atttypid, atttypmod), coalesce(col_description(attrelid, attnum), '')
from pg_attribute join pg_class on attrelid = pg_class.oid join pg_namespace on relnamespace = pg_namespace.oid
where attnum > 0 and not attisdropped and relkind in ('r', 'p', 'v') and nspname not in ('pg_catalog', 'information_schema')
order by nspname, relname, attnum
"""
#: (schema, relation) → column → type and description.
Known = dict[tuple[str, str], dict[str, ColumnText]]


def events(target: Path, database: str, parent: Parent | None) -> list[RunEvent]:
    """START and COMPLETE of each model that the run which left its files in `target` built; none when it wrote no row."""
    results, manifest = (json.loads((target / name).read_text()) for name in ("run_results.json", "manifest.json"))
    built = [one for one in results["results"] if one["unique_id"].partition(".")[0] in _KINDS and one["status"] == "success"]
    if not any(_rows(one) for one in built):
        return []
    with clients.postgres("dbt", database) as connection:
        known: Known = {}
        for schema, name, column, *text in connection.execute(_COLUMNS).fetchall():
            known.setdefault((schema, name), {})[column] = ColumnText(*text)
    project = Project(manifest, known, database)
    return [event for one in built for event in _of_node(project, one, parent)]


def _of_node(project: "Project", result: Mapping[str, Any], parent: Parent | None) -> Iterator[RunEvent]:
    node = project.manifest["nodes"][result["unique_id"]]
    run = JobRun(f"dbt.{node['name']}", str(generate_new_uuid()), _KIND, parent)
    times = {one["name"]: one for one in result["timing"]}
    began, ended = times["compile"]["started_at"], times["execute"]["completed_at"]
    read = [Read(project.relation(source)) for source in project.inputs(node)]
    yield run.event(RunState.START, datetime.fromisoformat(began), read)
    written = [Written(project.described(node), _rows(result))]
    yield run.event(RunState.COMPLETE, datetime.fromisoformat(ended), read, written)


def _rows(result: Mapping[str, Any]) -> int | None:
    """Rows that a node wrote; None for a view."""
    rows = result["adapter_response"].get("rows_affected")
    return rows if isinstance(rows, int) and rows >= 0 else None


@dataclass(frozen=True)
class Project:
    """dbt's manifest and the columns of the warehouse that its models were built in."""

    manifest: Mapping[str, Any]
    known: Known
    database: str

    def inputs(self, node: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """The relations that a node reads; of an ephemeral model, which is a part of it, those that this one reads."""
        found: dict[str, Mapping[str, Any]] = {}
        for name in node["depends_on"]["nodes"]:
            source = self.manifest["nodes"].get(name) or self.manifest["sources"][name]
            inner = self.inputs(source) if source.get("config", {}).get("materialized") == "ephemeral" else [source]
            found |= {one["unique_id"]: one for one in inner}
        return list(found.values())

    def relation(self, node: Mapping[str, Any]) -> Data:
        """A model, snapshot or source with its columns."""
        schema, name = _place(node)
        return datasets.relation(schema, name, self.database).having(schema=datasets.columns_facet(self.known.get((schema, name), {})))

    def described(self, node: Mapping[str, Any]) -> Data:
        """The same with what it is for, and what its columns are made of."""
        lineage = datasets.lineage_facet(self.lineage(node))
        text = documentation_dataset.DocumentationDatasetFacet(node["description"] or node["name"])
        return self.relation(node).having(documentation=text, columnLineage=lineage)

    def lineage(self, node: Mapping[str, Any]) -> dict[str, list[Field]]:
        """Column → the columns of its inputs that it is made of: what it takes from itself (an incremental model does) is no source."""
        itself = _place(node)
        try:
            found = columns.of_query(node["compiled_code"], self._catalogue, self.database)
        except SqlglotError:  # SQL that it cannot read: the event says less
            return {}
        return {
            column: [
                datasets.relation(source.schema, source.relation, self.database).column(source.column)
                for source in sources
                if (source.schema, source.relation) != itself
            ]
            for column, sources in found.items()
        }

    @cached_property
    def _catalogue(self) -> columns.Catalogue:
        found: dict[str, dict[str, dict[str, str]]] = {}
        for (schema, name), texts in self.known.items():
            found.setdefault(schema, {})[name] = {column: text.type for column, text in texts.items()}
        return found


def _place(node: Mapping[str, Any]) -> tuple[str, str]:
    """The schema and name of a node's relation, which a source calls its identifier."""
    return node["schema"], node.get("identifier") or node.get("alias") or node["name"]
