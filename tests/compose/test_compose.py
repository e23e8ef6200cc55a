"""docker-compose.yaml for real, in one story: up, events, the DAG, the books; every container killed; all down and up again; nothing left.

The tests build on one another, in this order.
"""

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import confluent_kafka
import psycopg
import pytest
import requests

from loglake import clients
from loglake.orchestrate import DAG_ID, Airflow
from tests import pipeline
from tests.compose import outsider, probes, traffic
from tests.compose.bookkeeping import balanced_books, totals
from tests.compose.probes import SERVICES
from tests.compose.project import PUBLISHED, Container, Project

pytestmark = [pytest.mark.compose, pytest.mark.timeout(1800)]

_GIB = 2**30
#: Who is killed together with whom; after each round all is well again before the next.
ROUNDS = (
    ("kafka", "airflow-dag-processor", "monitor"),
    ("postgres", "datanode"),
    ("namenode", "spark-master", "airflow-api", "airflow-triggerer", "metrics"),
    ("spark-worker", "lake-stream", "live-stream", "airflow-scheduler"),
)


def long_running(project: Project) -> dict[str, Container]:
    return {service: one for service, one in project.containers().items() if not one.is_one_shot}


def test_all_is_healthy_and_nothing_had_to_be_restarted(project: Project) -> None:
    found = long_running(project)
    assert set(found) == SERVICES
    assert {service: (one.state, one.health, one.restarts) for service, one in found.items()} == dict.fromkeys(
        SERVICES, ("running", "healthy", 0)
    )


def test_the_images_fit_into_2_5_gb(project: Project) -> None:
    images = {one.details["Image"] for one in project.containers().values()}
    inspected = json.loads(project.engine.docker("image", "inspect", *images).stdout)
    layers = {image["Id"]: image["RootFS"]["Layers"] for image in inspected}
    biggest = max(inspected, key=lambda image: image["Size"])
    # Every other image must be made of the biggest one's layers, so that the biggest is what all of them take.
    assert all(set(found) <= set(layers[biggest["Id"]]) for found in layers.values()), layers
    assert biggest["Size"] < 2.5e9


def test_every_container_is_hardened(project: Project) -> None:
    for service, one in project.containers().items():
        host = one.details["HostConfig"]
        assert host["ReadonlyRootfs"], service
        assert (host["CapDrop"], host["CapAdd"], host["Privileged"]) == (["ALL"], None, False), service
        assert any(option.startswith("no-new-privileges") for option in host["SecurityOpt"]), service
        assert host["Memory"] > 0, service
    limits = sum(one.details["HostConfig"]["Memory"] for one in long_running(project).values())
    assert limits <= 12 * _GIB


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_the_processes_of_a_container_are_bound(project: Project, service: str) -> None:
    found = probes.bounds(project, service)
    assert 0 not in found.users
    assert found.capabilities == 0
    assert found.has_no_new_privileges
    assert found.writable == []


def test_six_ports_are_published_on_the_loopback_address_only(project: Project) -> None:
    found = {
        (service, int(inside.split("/")[0]), binding["HostIp"], int(binding["HostPort"]))
        for service, one in project.containers().items()
        for inside, bindings in one.details["NetworkSettings"]["Ports"].items()
        for binding in bindings or []
    }
    assert found == {(service, port, "127.0.0.1", int(project.environment[name])) for name, (service, port) in PUBLISHED.items()}


def test_100000_events_come_through_and_the_books_balance(project: Project, tmp_path: Path) -> None:
    truth = traffic.send(project, tmp_path, "--count", "100000", "--seed", "7")
    assert truth.not_sent == 0
    assert truth.acknowledged >= 100_000
    found = balanced_books(project)
    pipeline.exactly_once(found)
    assert pipeline.in_lake(found) == truth.acknowledged
    assert (found["raw_events"], found["raw_rejected"]) == (truth.events, truth.rejected)
    assert found["marts"]["fact_event"] == truth.events
    assert all(found["marts"].values()), found["marts"]


def test_the_monitor_is_told_of_every_server_and_of_dbts_last_run(project: Project) -> None:
    assert probes.what_the_monitor_knows(project) == {"unknown": {}, "down": [], "dbt": True}


def test_every_container_killed_in_mid_flow_comes_back_and_nothing_is_lost(project: Project, tmp_path: Path) -> None:
    assert set(itertools.chain(*ROUNDS)) == set(long_running(project)), "a service is never killed"
    before = pipeline.books(project)
    with traffic.flowing(project, tmp_path, "--rate", "200", "--seed", "8"):
        for services in ROUNDS:
            restarts = {service: project.crash(service) for service in services}
            for service, number in restarts.items():
                project.wait_restarted(service, number)
            project.wait_healthy()
    truth = traffic.sent(tmp_path)
    assert truth.not_sent == 0
    after = balanced_books(project)
    pipeline.exactly_once(after)
    assert after["raw_events"] - before["raw_events"] == truth.events
    assert after["raw_rejected"] - before["raw_rejected"] == truth.rejected


def test_all_of_it_down_and_up_again_keeps_the_data(project: Project) -> None:
    before = pipeline.books(project)
    project.down()
    assert project.containers() == {}
    project.up()
    assert totals(pipeline.books(project)) == totals(before)
    # and a run with nothing new leaves everything as it is
    assert totals(balanced_books(project)) == totals(before)


def test_another_account_gets_an_answer_from_each_published_port(project: Project) -> None:
    secret = probes.setting(project, "postgres", 'postgres.password("bi_reader")')
    known = pipeline.books(project)

    def visit() -> dict[str, Any]:
        return {
            "facts": sql(project.port("postgres"), secret, "select count(*) from marts.fact_event"),
            "namenode": page(project.port("namenode"), "/dfshealth.html"),
            "spark": page(project.port("spark-master"), "/"),
            "airflow": page(project.port("airflow-api"), "/auth/login/"),
            "monitor": page(project.port("monitor"), "/"),
            "sent": produce(project.port("kafka"), json.dumps({"by": "an outsider"}).encode()),
        }

    found = outsider.ask(visit)
    assert found.pop("facts") == known["marts"]["fact_event"]
    assert {name for name, text in found.items() if not text} == set()
    assert ("Namenode" in found["namenode"], "Spark Master" in found["spark"]) == (True, True)
    assert ("Sign In" in found["airflow"], "streamlit" in found["monitor"].lower()) == (True, True)
    # and what was sent has arrived: no event, hence one reject more
    assert balanced_books(project)["raw_rejected"] == known["raw_rejected"] + 1


def test_the_first_log_in_of_airflow_is_the_documented_one(project: Project) -> None:
    assert DAG_ID in {dag["dag_id"] for dag in Airflow()._call("GET", "/api/v2/dags")["dags"]}


def test_no_other_port_of_a_server_is_open_on_the_machine(project: Project) -> None:
    published = [project.port(service) for service, _ in PUBLISHED.values()]
    inside = [port for port in probes.INSIDE_PORTS if port not in published and not probes.foreign(port)]
    assert inside
    assert open_ports(["127.0.0.1"], inside) == []


def test_what_is_published_is_not_open_on_another_address_of_the_machine(project: Project) -> None:
    published = [project.port(service) for service, _ in PUBLISHED.values()]
    assert open_ports(probes.machine_addresses(), published) == []


def test_a_container_itself_answers_another_account_on_its_published_port_only(project: Project) -> None:
    linked = probes.linked_addresses(project)
    others = {service: [port for port in probes.INSIDE_PORTS if (service, port) not in PUBLISHED.values()] for service in linked}
    assert {service: found for service, addresses in linked.items() if (found := open_ports(addresses, others[service]))} == {}
    # and there is one that could be asked
    assert open_ports(linked["postgres"], [5432])


def test_a_server_is_reached_by_its_declared_clients_only(project: Project) -> None:
    assert probes.clients(project) == probes.CLIENTS


def test_down_with_its_volumes_leaves_nothing(project: Project) -> None:
    project.down(volumes=True)
    assert project.left() == []


def sql(port: int, password: str, query: str) -> Any:
    with psycopg.connect(
        host="127.0.0.1", port=port, dbname="loglake", user="bi_reader", password=password, connect_timeout=10
    ) as connection:
        return connection.execute(query).fetchone()[0]  # type: ignore[index]


def page(port: int, path: str) -> str:
    with clients.web() as session:
        answer = session.get(f"http://127.0.0.1:{port}{path}", timeout=30)
    assert answer.status_code == requests.codes.ok, (port, path, answer.status_code)
    return answer.text


def produce(port: int, record: bytes) -> bool:
    producer = confluent_kafka.Producer({"bootstrap.servers": f"127.0.0.1:{port}", "message.timeout.ms": 30_000})
    failed: list[Any] = []
    producer.produce("LogEvents", record, on_delivery=lambda error, _: failed.append(error) if error else None)
    return producer.flush(60) == 0 and not failed


def open_ports(addresses: Sequence[str], ports: Sequence[int]) -> list[tuple[str, int]]:
    """Where something accepts a connection of another account."""
    found = outsider.ask(lambda: [(address, port) for address in addresses for port in ports if outsider.connects(address, port)])
    return [(address, port) for address, port in found]
