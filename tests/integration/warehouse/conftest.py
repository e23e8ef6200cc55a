"""A small shop whose numbers are known, in a warehouse that tests only read; and servers that take Slack's and a mail server's place."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from loglake import clients
from loglake.events import Event, Product
from loglake.settings import settings
from tests.alertservers import Endpoint, Mailbox, endpoint, mail_server
from tests.sample import event, order
from tests.stackfixture import EmbeddedStack
from tests.starloads import at, delivered, login, order_event, view
from tests.warehouserows import empty_warehouse


def in_dollars(number: int, hours: float, order_id: str, status: str, **changes: Any) -> Event:
    paid = msgspec.structs.replace(order(order_id, status, (("p2", 1, "20.00"),)), currency="USD")
    return order_event(number, hours, order_id, status, order=paid, **changes)


#: Two currencies, an order of each status, a product that is looked at although none is left, a user who comes back a week later.
EVENTS = (
    login(1, 0, "u1", country="Chile"),
    view(2, 0.1, "12.50"),
    event(3, event_ts=at(0.2), event_type="add_to_cart"),
    order_event(4, 0.3, "o1", "completed"),
    order_event(5, 24, "o2", "refunded"),
    order_event(6, 25, "o3", "payment_failed"),
    in_dollars(7, 24, "o4", "completed", session_id="s2"),
    in_dollars(8, 25, "o5", "requested", session_id="s2"),
    event(9, event_ts=at(26), session_id="s3", user=None, product=Product("p7", "Hut 🎩", "Fashion", price=Decimal("9.00"), stock=0)),
    view(10, 8 * 24, "12.50"),
)


@pytest.fixture(scope="session")
def sold(postgres: EmbeddedStack) -> Iterator[str]:
    """The name of the database."""
    assert postgres.runtime.exists()
    with delivered("sold", [EVENTS]) as database:
        yield database


@pytest.fixture
def slack() -> Iterator[Endpoint]:
    with endpoint() as found:
        yield found


@pytest.fixture
def mail(postgres: EmbeddedStack) -> Iterator[Mailbox]:
    with mail_server(int(postgres.environment["LOGLAKE_SMTP_PORT"])) as found:
        yield found


@pytest.fixture
def outbox(
    postgres: EmbeddedStack, slack: Endpoint, mail: Mailbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[psycopg.Connection]:
    """The loader's connection to a warehouse of its own; this process's settings name it and the two servers."""
    with empty_warehouse("alerts_test") as name:
        changed = {
            "LOGLAKE_POSTGRES_DATABASE": name,
            "LOGLAKE_SLACK_WEBHOOK_URL": slack.url,
            "LOGLAKE_SMTP_HOST": "127.0.0.1",
            "LOGLAKE_SMTP_PORT": str(mail.port),
            "LOGLAKE_SMTP_STARTTLS": "false",
            "LOGLAKE_SMTP_SENDER": "loglake@example.org",
            "LOGLAKE_SMTP_RECIPIENTS": "ops@example.org, boss@example.org",
            "AIRFLOW_HOME": str(tmp_path),
        }
        for variable, value in changed.items():
            monkeypatch.setenv(variable, value)
        # What these tests tell of was long ago.
        monkeypatch.setattr("loglake.alerts.deliver.OLDEST", timedelta(days=36500))
        settings.cache_clear()
        with clients.postgres("loader") as connection:
            yield connection
    monkeypatch.undo()
    settings.cache_clear()
