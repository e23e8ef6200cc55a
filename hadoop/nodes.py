"""How the NameNode and the DataNode are started, and when they are healthy. `stack/` runs them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loglake.setting_groups import HdfsSettings

CONFIG = Path(__file__).resolve().parent
NAMENODE = "org.apache.hadoop.hdfs.server.namenode.NameNode"
DATANODE = "org.apache.hadoop.hdfs.server.datanode.DataNode"
#: The NameNode's JMX bean that tells whether it has loaded its file system.
INFO_BEAN = "Hadoop:service=NameNode,name=NameNodeInfo"


def class_path(jars: Path) -> list[Path]:
    """Configuration, the folder that holds the web pages, then the jars."""
    return [CONFIG, jars / "hadoop-web", jars / "hadoop" / "*"]


def environment(config: HdfsSettings, listen: str, data: Path) -> dict[str, str]:
    """What core-site.xml and hdfs-site.xml refer to. The servers' own user is HDFS's superuser, and the clients' user."""
    return {
        "HADOOP_USER_NAME": config.user,
        "LOGLAKE_LISTEN": listen,
        "LOGLAKE_HDFS_DATA": str(data),
        "LOGLAKE_HDFS_NAMENODE_HOST": config.namenode_host,
        "LOGLAKE_HDFS_DATANODE_HOST": config.datanode_host,
        "LOGLAKE_HDFS_REPLICATION": str(config.replication),
        "LOGLAKE_HDFS_NAMENODE_PORT": str(config.namenode_port),
        "LOGLAKE_HDFS_NAMENODE_HTTP_PORT": str(config.namenode_http_port),
        "LOGLAKE_HDFS_DATANODE_PORT": str(config.datanode_port),
        "LOGLAKE_HDFS_DATANODE_HTTP_PORT": str(config.datanode_http_port),
        "LOGLAKE_HDFS_DATANODE_IPC_PORT": str(config.datanode_ipc_port),
    }


def formatted(data: Path) -> bool:
    """Whether the NameNode has a file system to serve."""
    return (data / "namenode" / "current" / "VERSION").exists()


def namenode_lacks(beans: Mapping[str, Any]) -> str:
    """What the NameNode still lacks by its NameNodeInfo bean; "" when it serves reads."""
    found = beans.get("beans") or []
    return "" if found and found[0].get("ClusterId") else "the NameNode has not loaded its file system"
