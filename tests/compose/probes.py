"""Questions asked inside the containers, and of the machine around them."""

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import ip_address, ip_interface
from typing import Any

import psutil

from stack import checks
from tests.compose.project import Project

#: Every service but `secrets`, which ends, and the generator.
SERVICES = {
    *("postgres", "kafka", "namenode", "datanode", "spark-master", "spark-worker", "lake-stream", "live-stream"),
    *("airflow-api", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer", "metrics", "monitor"),
}
#: Every port a server listens on in its container.
INSIDE_PORTS = (4040, 5432, 7077, 8020, 8080, 8081, 8082, 8501, 8793, 8794, 9092, 9093, 9108, 9864, 9866, 9867, 9870, 29092)
_HDFS = {"namenode", "datanode", "spark-worker", "lake-stream", "airflow-scheduler", "metrics"}
#: The addresses of the servers that ask nobody who they are, and of Postgres; the services that may reach each, itself among them.
CLIENTS = {
    "broker.kafka:9092": {"kafka", "spark-worker", "lake-stream", "live-stream", "airflow-scheduler", "metrics"},
    "broker.kafka:9093": set(),
    "namenode.hdfs:8020": _HDFS,
    "datanode:9866": _HDFS,
    "postgres:5432": SERVICES - {"kafka", "namenode", "datanode", "spark-master"},
    "master.spark:7077": {"spark-master", "spark-worker", "lake-stream", "airflow-scheduler", "metrics"},
}

_PROCESSES = """
import json, os, pathlib
found = []
for path in pathlib.Path("/proc").glob("[0-9]*/status"):
    try:
        lines = path.read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        continue
    found.append(dict(line.split(":", 1) for line in lines))
writable = [folder for folder in ("/", "/opt/loglake", "/etc") if not os.statvfs(folder).f_flag & os.ST_RDONLY]
print(json.dumps({"processes": found, "writable": writable}))
"""
_CONNECT = """
import json, socket, sys
from concurrent.futures import ThreadPoolExecutor
def answers(address):
    host, port = address.split(":")
    try:
        socket.create_connection((host, int(port)), 2).close()
    except OSError:
        return False
    return True
# All at once, as a name that is not known is looked up for ten seconds.
with ThreadPoolExecutor(len(sys.argv)) as pool:
    print(json.dumps([address for address, is_open in zip(sys.argv[1:], pool.map(answers, sys.argv[1:])) if is_open]))
"""
_KNOWN = """
import json
from datetime import UTC, datetime
from loglake import models
from loglake.metrics import seen
found = seen.ask(datetime.now(UTC))
down = [one.name for one in found.rules.services if not one.ok] if found.rules else []
print(json.dumps({"unknown": found.reasons, "down": down, "dbt": bool(models.last_results().nodes)}))
"""


@dataclass(frozen=True)
class Bounds:
    """What all processes of a container are bound by, the freest of them taken."""

    users: set[int]
    capabilities: int
    has_no_new_privileges: bool
    writable: list[str]


def bounds(project: Project, service: str) -> Bounds:
    """As the kernel tells it."""
    found = json.loads(_python(project, service, _PROCESSES))
    processes = found["processes"]
    assert processes
    return Bounds(
        users={int(user) for process in processes for user in process["Uid"].split()},
        capabilities=max(int(process[name], 16) for process in processes for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb")),
        has_no_new_privileges=all(int(process["NoNewPrivs"]) for process in processes),
        writable=found["writable"],
    )


def clients(project: Project) -> dict[str, set[str]]:
    """For each of the servers, the services from whose containers it accepts a connection."""
    with ThreadPoolExecutor(len(SERVICES)) as pool:
        reached = dict(
            zip(SERVICES, pool.map(lambda service: json.loads(_python(project, service, _CONNECT, *CLIENTS)), SERVICES), strict=True)
        )
    return {server: {service for service, servers in reached.items() if server in servers} for server in CLIENTS}


def what_the_monitor_knows(project: Project) -> dict[str, Any]:
    """Why which part of what it shows is not known to it, which services it takes for down, and whether it sees what dbt's last run did."""
    return dict(json.loads(_python(project, "monitor", _KNOWN)))


def setting(project: Project, service: str, expression: str) -> str:
    """A setting as a service has it: `postgres.host`."""
    return _python(project, service, f"from loglake.settings import settings; print(settings().{expression})").strip()


def linked_addresses(project: Project) -> dict[str, list[str]]:
    """The addresses of each service in those networks of the engine that the machine itself has an address in."""
    links = [ip_interface(f"{item.address}/{item.netmask}").network for item in _ipv4()]
    return {
        service: [
            address
            for network in one.details["NetworkSettings"]["Networks"].values()
            if (address := network["IPAddress"]) and any(ip_address(address) in link for link in links)
        ]
        for service, one in project.containers().items()
    }


def machine_addresses() -> list[str]:
    """The machine's own addresses but 127.0.0.1."""
    return sorted(item.address for item in _ipv4() if not item.address.startswith("127."))


def _ipv4() -> list[Any]:
    return [item for items in psutil.net_if_addrs().values() for item in items if item.family == socket.AF_INET]


def foreign(port: int) -> bool:
    """Whether something that is no container listens on this port of the machine: another stack, say."""
    return any(psutil.Process(pid).name() != "docker-proxy" for pid in checks.listeners(port))


def _python(project: Project, service: str, code: str, *arguments: str) -> str:
    return project.exec(service, "python", "-c", code, *arguments).stdout
