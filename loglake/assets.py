"""What DAGs can wait for: `schedule=[assets.MARTS]` runs a DAG whenever the marts hold, tested, loads that they did not hold before.

An asset is announced by what it holds, not by a task's success: a run that finds nothing new announces nothing. An alias does that, as a
task's plain outlet would be announced each time.
"""

from collections.abc import Mapping
from typing import Any

from airflow.sdk import Asset, AssetAlias

from loglake import clients

#: `lake.bronze.log_events`. The stream fills it, which is no task: it is read by the load, and never announced.
LAKE = Asset(name="loglake_lake", uri="loglake://lake/bronze.log_events")
#: The schema raw of the warehouse.
RAW = Asset(name="loglake_raw", uri="loglake://warehouse/raw")
#: The schema marts of the warehouse.
MARTS = Asset(name="loglake_marts", uri="loglake://warehouse/marts")
#: The outlets of the tasks that may announce these.
RAW_NEWS = AssetAlias("loglake_raw_news")
MARTS_NEWS = AssetAlias("loglake_marts_news")

_NEWS = {RAW.name: RAW_NEWS, MARTS.name: MARTS_NEWS}
#: The last load that an asset holds: (role, SQL). The marts hold what all of their tests have passed (dbt/macros/loads.sql).
_HELD = {
    RAW.name: ("monitor", "select max(load_id) from ops.load_manifest"),
    MARTS.name: ("dbt", "select max(load_id) from staging.load_position where node = 'tests'"),
}


def announce(asset: Asset, context: Mapping[str, Any]) -> int | None:
    """Announce an inlet of the task whose `context` this is, when it holds another load than the last announcement said; that load."""
    role, query = _HELD[asset.name]
    with clients.postgres(role) as connection:
        ((held,),) = connection.execute(query).fetchall()
    events = context["inlet_events"][asset].ascending(False).limit(1)
    known = events[0].extra.get("load_id") if len(events) else None
    if held is None or held < 0 or held == known:
        return None
    context["outlet_events"][_NEWS[asset.name]].add(asset, extra={"load_id": held})
    return int(held)
