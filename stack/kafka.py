"""Kafka: one KRaft node that is broker and controller, with the topic of the settings."""

import base64
import uuid
from datetime import datetime
from pathlib import Path

from kafka.admin import NewPartitions, NewTopic

from loglake import clients
from loglake.setting_groups import KafkaSettings
from loglake.settings import LOOPBACK, settings
from stack import java, tools
from stack.service import Port, Service

LOG_CONFIG = Path(__file__).resolve().with_name("kafka-log4j2.properties")


def server_properties(config: KafkaSettings, listen: str, data: Path) -> dict[str, str]:
    """The broker's configuration. Records carry the broker's clock, so that the time of a record never goes back."""
    inside = f"{config.host}:{config.port}"
    # Each listener with the address it is bound to, and the one that its clients are told.
    listeners = {"PLAINTEXT": (inside, inside)}
    if config.outside_address:
        listeners["OUTSIDE"] = (f"{listen}:{config.outside_port}", config.outside_address)
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{LOOPBACK}:{config.controller_port}",
        "controller.listener.names": "CONTROLLER",
        # The controller is this broker's own: nobody else reaches it.
        "listeners": ",".join(
            [*(f"{name}://{bound}" for name, (bound, _) in listeners.items()), f"CONTROLLER://{LOOPBACK}:{config.controller_port}"]
        ),
        "advertised.listeners": ",".join(f"{name}://{told}" for name, (_, told) in listeners.items()),
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,OUTSIDE:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": str(data),
        "log.message.timestamp.type": "LogAppendTime",
        "auto.create.topics.enable": "false",
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "3",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "3",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "group.initial.rebalance.delay.ms": "0",
        "num.network.threads": "2",
        "num.io.threads": "4",
        "log.cleaner.dedupe.buffer.size": str(32 * 1024 * 1024),
    }


def service() -> Service:
    config = settings().kafka
    return Service(
        name="kafka",
        title=f"Kafka: topic {config.topic}",
        command=(*_java("kafka.Kafka", config.heap), str(_properties())),
        environment=java.ENVIRONMENT,
        probe=probe,
        ports=tuple(Port.of(config, name) for name in ("port", "controller_port", *(["outside_port"] if config.outside_address else []))),
        prepare=prepare,
        complete=complete,
        stop_seconds=60,
    )


def probe(_started: datetime) -> str:
    """Content when the broker answers."""
    with clients.kafka_admin() as admin:
        admin.describe_cluster()
    return ""


def prepare() -> None:
    """Write server.properties, and format the storage when it is not."""
    data, path = _data(), _properties()
    path.parent.mkdir(parents=True, exist_ok=True)
    properties = server_properties(settings().kafka, settings().runtime.listen, data)
    path.write_text("".join(f"{name}={value}\n" for name, value in properties.items()))
    if not (data / "meta.properties").exists():
        command = (*_java("kafka.tools.StorageTool", "128m"), "format", f"--cluster-id={_cluster_id()}", f"--config={path}")
        tools.run(command, f"Kafka's storage in {data} could not be formatted")


def complete() -> None:
    """Create the topic of the settings, or give it the partitions it lacks."""
    config = settings().kafka
    with clients.kafka_admin() as admin:
        known = {topic["name"]: len(topic["partitions"]) for topic in admin.describe_topics() if not topic.get("error_code")}
        if config.topic not in known:
            retention = str(config.retention_hours * 3_600_000)
            admin.create_topics([NewTopic(config.topic, config.partitions, config.replication, topic_configs={"retention.ms": retention})])
        elif known[config.topic] < config.partitions:
            admin.create_partitions({config.topic: NewPartitions(config.partitions)})


def _java(main_class: str, heap: str) -> tuple[str, ...]:
    return java.command(main_class, [_jars()], heap, f"-Dlog4j2.configurationFile={LOG_CONFIG}")


def _cluster_id() -> str:
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")


def _jars() -> Path:
    return settings().runtime.jars_dir / "kafka" / "*"


def _data() -> Path:
    return settings().runtime.data_dir / "kafka"


def _properties() -> Path:
    return settings().runtime.runtime_dir / "conf" / "kafka-server.properties"
