"""Which columns a query's columns are made of: by sqlglot, from the SQL that ran and the columns of what it reads."""

import logging
from collections.abc import Mapping
from typing import NamedTuple

from sqlglot import exp, lineage, parse_one
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import build_scope

_DIALECT = "postgres"
#: It tells of every array index it reads.
logging.getLogger("sqlglot").setLevel(logging.WARNING)


class Source(NamedTuple):
    """A column of a relation of the warehouse."""

    schema: str
    relation: str
    column: str


#: Column of a query → what it is made of, sorted.
Lineage = dict[str, tuple[Source, ...]]
#: Schema → relation → column → type.
Catalogue = Mapping[str, Mapping[str, Mapping[str, str]]]


def of_query(text: str, catalogue: Catalogue, database: str) -> Lineage:
    """The lineage of each column of a SELECT, through its subqueries to the relations it names. sqlglot's errors for what it cannot read.

    What a row is chosen or counted by is not told: a count has no sources.
    """
    query = qualify(
        _without_lateral(parse_one(text, dialect=_DIALECT)),
        dialect=_DIALECT,
        catalog=database,
        schema={database: {name: dict(relations) for name, relations in catalogue.items()}},
        validate_qualify_columns=False,
        identify=False,
    )
    nodes = lineage.lineage(None, query, schema={}, scope=build_scope(query), dialect=_DIALECT, copy=False)
    return {name: _sources(node) for name, node in nodes.items()}


def _sources(node: lineage.Node) -> tuple[Source, ...]:
    leaves = [(leaf.name.rpartition(".")[2], leaf.expression) for leaf in node.walk() if not leaf.downstream]
    return tuple(sorted({Source(table.db, table.name, column) for column, table in leaves if isinstance(table, exp.Table)}))


def _without_lateral(query: exp.Expr) -> exp.Expr:
    """A LATERAL subquery as a plain one, whose columns sqlglot can follow: where its rows come from is the same."""
    for found in list(query.find_all(exp.Lateral)):
        if isinstance(found.this, exp.Subquery):
            plain = found.this.copy()
            plain.set("alias", found.args["alias"].copy())
            found.replace(plain)
    return query
