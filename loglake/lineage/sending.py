"""Events on their way: to a file, a line each, or to an HTTP end point. Neither may fail a run, nor delay it beyond a limit.

OpenLineage's client is imported when there is something to send: it would cost every load half a second.
"""

import logging
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from loglake.clients import one_line
from loglake.operation_settings import LineageSettings
from loglake.settings import settings

if TYPE_CHECKING:
    from openlineage.client.event_v2 import RunEvent

log = logging.getLogger(__name__)

#: All events of one occasion (a load, a dbt run) must be made and sent within so many times the limit of one request.
_PATIENCE = 5
_LINES = "loglake.lineage.lines.Lines"


def transport(config: LineageSettings) -> dict[str, Any]:
    """The configuration of OpenLineage's transport, for us and for Airflow's provider; empty when nothing is to be sent."""
    if not config.to:
        return {}
    if not config.to.startswith("http"):
        return {"type": _LINES, "path": config.to}
    key = config.api_key.get_secret_value()
    auth = {"auth": {"type": "api_key", "apiKey": key}} if key else {}
    return {"type": "http", "url": config.to, "timeout": config.timeout_seconds, "retry": {"total": 0}, **auth}


def limit(config: LineageSettings) -> float:
    """The seconds that all events of one occasion may take."""
    return _PATIENCE * config.timeout_seconds


def send(make: Callable[[], Iterable["RunEvent"]]) -> None:
    """Make events and send them, if anyone wants them; what goes wrong, or takes too long, is one line of warning and nothing more.

    The first event that cannot be sent is the last that is tried.
    """
    config = settings().lineage
    if not config.to:
        return
    # A thread of its own, as neither a name server nor a slow reader keeps to a time-out; it does not keep the process from ending.
    sender = threading.Thread(target=_send, args=(config, make), daemon=True)
    sender.start()
    sender.join(limit(config))
    if sender.is_alive():
        log.warning("lineage: not all events were sent to %s within %g s: the rest may be lost", config.to, limit(config))


def _send(config: LineageSettings, make: Callable[[], Iterable["RunEvent"]]) -> None:
    try:
        from openlineage.client.transport import get_default_factory

        channel = get_default_factory().create(transport(config))
        for event in make():
            channel.emit(event)
    except Exception as error:  # whatever it is: lineage is not worth a run
        log.warning("lineage: events are lost, %s cannot be told: %s", config.to, one_line(error))
