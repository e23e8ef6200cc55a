"""HDFS in the stack: the NameNode and the DataNode of `hadoop/` as services."""

import shutil
from datetime import datetime
from pathlib import Path

from hadoop import nodes
from loglake import clients, health
from loglake.settings import child_environment, settings
from stack import java, tools
from stack.service import Port, Service


def services() -> tuple[Service, Service]:
    """The NameNode, then the DataNode."""
    config = settings().hdfs
    environment = {**java.ENVIRONMENT, **nodes.environment(config, settings().runtime.listen, _data())}
    namenode = Service(
        name="namenode",
        title="HDFS NameNode",
        command=_command(nodes.NAMENODE),
        environment=environment,
        probe=namenode_probe,
        ports=(Port.of(config, "namenode_port"), Port.of(config, "namenode_http_port")),
        url=f"{config.page}/dfshealth.html#tab-overview",
        prepare=format_namenode,
    )
    datanode = Service(
        name="datanode",
        title="HDFS DataNode",
        command=_command(nodes.DATANODE),
        environment=environment,
        probe=datanode_probe,
        after=(namenode.name,),
        ports=(Port.of(config, "datanode_port"), Port.of(config, "datanode_http_port"), Port.of(config, "datanode_ipc_port")),
        prepare=_make_data_folder,
    )
    return namenode, datanode


def namenode_probe(_started: datetime) -> str:
    """Content when the NameNode serves its file system, in safe mode or not: that ends with the DataNode's report."""
    return nodes.namenode_lacks(clients.json_page(f"{settings().hdfs.http_url}/jmx?qry={nodes.INFO_BEAN}"))


def datanode_probe(_started: datetime) -> str:
    """Content when HDFS takes writes."""
    health.ask_hdfs()
    config = settings().hdfs
    return "" if clients.listens(f"{config.datanode_host}:{config.datanode_port}") else f"port {config.datanode_port} is closed"


def format_namenode() -> None:
    """Make an empty file system when there is none: beside its place, then renamed, so that a killed run leaves no half of one."""
    _make_data_folder()
    if nodes.formatted(_data()):
        return
    draft = _data() / "draft"
    shutil.rmtree(draft, ignore_errors=True)
    environment = child_environment(**nodes.environment(settings().hdfs, settings().runtime.listen, draft))
    command = (*_command(nodes.NAMENODE), "-format", "-nonInteractive")
    tools.run(command, f"the NameNode could not be formatted in {draft}", environment)
    (draft / "namenode").rename(_data() / "namenode")


def _make_data_folder() -> None:
    _data().mkdir(parents=True, exist_ok=True)


def _command(main_class: str) -> tuple[str, ...]:
    return java.command(main_class, nodes.class_path(settings().runtime.jars_dir), settings().hdfs.heap)


def _data() -> Path:
    return settings().runtime.data_dir / "hdfs"
