"""`loglake doctor`: every check, in the order in which one would look."""

from collections.abc import Callable, Iterator

from loglake import clients
from loglake.errors import LoglakeError, SettingsError
from loglake.settings import settings
from stack import doctor_machine as machine
from stack import doctor_servers as servers
from stack.daemon import Daemon
from stack.finding import Finding, of_error, ok, problem
from stack.services import services as all_services


def examine() -> Iterator[Finding]:
    """The findings one by one; without usable settings only those of the installation."""
    yield machine.python()
    yield machine.packages()
    yield machine.memory()
    yield machine.cores()
    yield machine.open_files()
    yield from machine.setpriv()
    try:
        settings()
    except SettingsError as error:
        yield of_error("settings", error)
        return
    yield ok("settings", "each variable is one, and has a value that can be used")
    yield from _installation()
    yield from _servers()


def _installation() -> Iterator[Finding]:
    yield machine.java_runtime()
    yield machine.servers_jars()
    yield machine.disk()
    yield machine.runtime_folder()
    yield from machine.secret_files()
    yield machine.clock()
    try:
        services = all_services()
    except LoglakeError as error:
        yield of_error("services", error)
        return
    yield from machine.ports(services, Daemon(settings().runtime.runtime_dir))


def _servers() -> Iterator[Finding]:
    config = settings()
    postgres = f"{config.postgres.host}:{config.postgres.port}"
    questions: tuple[tuple[str, str, Callable[[], Finding | list[Finding]]], ...] = (
        ("schema version", postgres, servers.warehouse_version),
        ("warehouse schema", postgres, servers.warehouse_schema),
        ("airflow database", postgres, servers.airflow_schema),
        ("kafka topic", config.kafka.brokers.split(",")[0], servers.kafka_partitions),
        ("lake columns", postgres, servers.lake_columns),
    )
    yield servers.postgres_version()
    yield from _stack()
    for check, address, question in questions:
        yield from servers.asked(check, address, question)


def _stack() -> Iterator[Finding]:
    try:
        yield from servers.services(Daemon(settings().runtime.runtime_dir))
    except clients.ERRORS as error:
        yield problem("services", clients.one_line(error), "`loglake status`")
