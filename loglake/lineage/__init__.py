"""OpenLineage events of what Airflow does not see: from the topic to the lake, from there to raw, from raw to the marts, column by column.

`datasets` names what is read and written, `events` makes events of that, `sending` sends them. `stream`, `load` and `models` know what
happened. Nothing is made or sent unless LOGLAKE_LINEAGE_TO says where to.
"""
