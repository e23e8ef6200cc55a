"""What the alert DAGs do: judge the rules and deliver what is to be told, every minute; the digest, once a day."""

import logging
from datetime import UTC, datetime
from typing import Any

from loglake import clients
from loglake.alerts import callbacks, channels, messages, store, thresholds
from loglake.alerts.deliver import deliver
from loglake.alerts.facts import Facts
from loglake.alerts.rules import Verdict, judge, to_tell

log = logging.getLogger(__name__)

DAG_ID = "loglake_alerts"
#: Airflow logs what libraries say of each connection, and a task that runs every minute makes many.
_TALKATIVE = ("kafka", "hdfs", "pyiceberg")
#: Its run that ends well is itself the sign that its own incident is over.
_OWN_KEY = callbacks.DAG_KEY + DAG_ID
#: Its good runs are noted as one, the last: there are 1,440 a day.
_GOOD_ROUND = "last good round"


def judge_and_deliver() -> dict[str, Any]:
    """One round: facts, verdicts, incidents, then what waits in the outbox. A channel's fault is logged and no failure."""
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    facts, verdicts = look()
    with clients.postgres("loader") as connection:
        told = tell(connection, verdicts, facts.now)
        delivered = deliver(connection)
    firing = [verdict.key for verdict in verdicts if verdict.state == "firing"]
    unknown = [verdict.key for verdict in verdicts if verdict.state == "unknown"]
    log.info(
        "%d rules: firing %s; unknown %s; %d messages new, %d delivered, %d failed",
        len(verdicts), firing or "none", unknown or "none", len(told), delivered.sent, len(delivered.problems),
    )  # fmt: skip
    return {"firing": firing, "unknown": unknown, "told": len(told), "delivered": delivered.sent, "failed": len(delivered.problems)}


def tell(connection: Any, verdicts: list[Verdict], now: datetime) -> list[store.Text]:
    """Let the incidents of the rules take a step; what is told. `connection` is the loader's."""
    unknown = {verdict.rule.name for verdict in verdicts if verdict.state == "unknown"}
    with store.changing(connection):
        known = {incident.alert.key: incident for incident in store.open_incidents(connection)}

        def unjudged(key: str) -> bool:
            # A DAG's incident that is quiet had its good run: it needs no other one, only time, as it had come back before.
            waits_for_run = key.startswith(callbacks.DAG_KEY) and (key not in known or known[key].quiet_since is None)
            return key.partition(":")[0] in unknown or (waits_for_run and key != _OWN_KEY)

        alerts = [messages.alert_of(verdict) for verdict in to_tell(verdicts, known)]
        told = store.advance(connection, alerts, unjudged, now, callbacks.manner())
        store.note_run(connection, DAG_ID, _GOOD_ROUND, "success", now)
    for text in told:
        log.warning("%s: %s", text.subject, text.body)
    return told


def put_digest() -> str:
    """Put the digest of the day into the outbox; the next round of the alert DAG sends it. Its text."""
    from loglake.alerts import digest

    now = datetime.now(UTC)
    _, verdicts = look(now)
    book_line = digest.check_books()
    with clients.postgres("loader") as connection, store.changing(connection):
        text = digest.word(digest.read_day(connection, now), verdicts, book_line, now)
        store.put(connection, text, channels.route("digest", channels.configured()), now)
        store.forget_old(connection, now)
    log.info("%s\n%s", text.subject, text.body)
    return text.body


def look(now: datetime | None = None) -> tuple[Facts, list[Verdict]]:
    """The facts and verdicts of this moment, for whoever shows them; nothing is told."""
    # Here, as the DAG file is read every minute and the lake's library takes half a second to import.
    from loglake.alerts.gather import gather

    facts = gather(now)
    return facts, judge(facts, thresholds.in_force())
