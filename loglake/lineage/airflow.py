"""Which run of Airflow a job is part of, as the OpenLineage provider names it."""

from typing import Any

from loglake.settings import settings


def parent(task: Any) -> str:
    """A task instance as text for `events.Parent.of`: itself, and its DAG run as the root; "" when nobody wants lineage."""
    if task is None or not settings().lineage.to:
        return ""
    from airflow.providers.openlineage.plugins.macros import lineage_parent_id, lineage_root_parent_id

    return f"{lineage_parent_id(task)},{lineage_root_parent_id(task)}"
