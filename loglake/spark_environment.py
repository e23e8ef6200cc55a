"""What every Spark process of this machine finds in its environment, a server's as well as a driver's. Does not import PySpark."""

import sys

from loglake.settings import LOOPBACK, PROJECT, settings


def common() -> dict[str, str]:
    """Folders, the interpreter of the tasks, and the address; where others reach this machine, each process is told its name instead."""
    runtime = settings().runtime
    address = {"SPARK_LOCAL_IP": LOOPBACK, "SPARK_PUBLIC_DNS": LOOPBACK} if runtime.listen == LOOPBACK else {}
    return {
        **address,
        "SPARK_CONF_DIR": str(PROJECT / "loglake" / "sparkconf"),
        "SPARK_LOCAL_DIRS": str(runtime.data_dir / "spark" / "local"),
        "PYSPARK_PYTHON": sys.executable,
    }
