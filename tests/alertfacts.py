"""Facts by which every alert rule is content, for tests that change one of them."""

from datetime import UTC, datetime

from loglake.alerts.facts import Facts, Hdfs, Lake, Warehouse
from loglake.health import Status
from loglake.topic import Waiting

NOW = datetime(2026, 3, 4, 12, 30, tzinfo=UTC)
GIB = 2**30
WAREHOUSE = Warehouse(
    arrived=1000,
    rejected=0,
    events=1000,
    errors=0,
    latency_p95=80.0,
    last_hour=500,
    past_hours=(500, 400, 600),
    unbuilt_since=None,
    live_seen=None,
    findings=(),
)
LAKE = Lake(files=10, needed_files=1, unloaded_since=None, findings=())
WELL = Facts(
    now=NOW,
    services=(Status("Kafka", True, "topic LogEvents"), Status("HDFS", True, "1 live DataNode(s)")),
    warehouse=WAREHOUSE,
    kafka=Waiting(0, None),
    lake=LAKE,
    hdfs=Hdfs(used=GIB, remaining=9 * GIB),
    disk_free_bytes=50 * GIB,
)
