"""What reaches people, over real HTTP and SMTP: word for word, once per incident, and whatever the servers answer, never lost."""

import socket
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from loglake.alerts import channels, store
from loglake.alerts.deliver import deliver
from loglake.health import Status
from loglake.settings import settings
from tests.alertrounds import DOWN, UP, see, states
from tests.alertservers import Endpoint, Mailbox, mail_server, write_certificate

pytestmark = pytest.mark.integration
ADVICE = (
    "What to do: `loglake status`, then `loglake logs NAME`; `loglake up` starts what is not running. Runbook: docs/alerts.md#service-down"
)


def let_try_again(connection: psycopg.Connection) -> None:
    """As if the time that a channel is left alone were over."""
    connection.execute("update ops.outbox_channel set next_try_at = now()")


def test_a_service_that_is_down_and_back_is_told_word_for_word(outbox: psycopg.Connection, slack: Endpoint, mail: Mailbox) -> None:
    for minute in range(3):
        see(outbox, minute, DOWN)
        deliver(outbox)
    for minute in range(3, 10):
        see(outbox, minute, UP)
        deliver(outbox)

    problem = f"no broker answers at 127.0.0.1:9092: see `loglake logs kafka`\n{ADVICE}"
    end = "After 8 min, since 2026-03-04 12:30 UTC. It was: no broker answers at 127.0.0.1:9092: see `loglake logs kafka`"
    assert slack.received == [
        ("/services/T0/B0/secret", f"*PROBLEM: Service down: Kafka*\n{problem}"),
        ("/services/T0/B0/secret", f"*OK AGAIN: Service down: Kafka*\n{end}"),
    ]
    assert [(letter["Subject"], letter["From"], letter["To"]) for letter in mail.messages] == [
        ("[loglake] PROBLEM: Service down: Kafka", "loglake@example.org", "ops@example.org, boss@example.org"),
        ("[loglake] OK AGAIN: Service down: Kafka", "loglake@example.org", "ops@example.org, boss@example.org"),
    ]
    bodies = [next(letter.iter_parts()).get_content().strip() for letter in mail.messages]
    assert bodies == [f"<pre>{problem}</pre>", f"<pre>{end}</pre>"]
    assert mail.messages[0]["X-Recipients"] == "ops@example.org, boss@example.org"
    assert states(outbox) == ["email: delivered", "slack: delivered"] * 2


def test_an_incident_and_its_message_are_one_transaction(outbox: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_arguments: Any) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(store, "put", killed)
    with pytest.raises(KeyboardInterrupt):
        see(outbox, 0, DOWN)
    monkeypatch.undo()
    assert store.open_incidents(outbox) == []


@pytest.mark.parametrize("answer", [(429, {"Retry-After": "7"}, 7), (500, {}, 30), (404, {}, 30)])
def test_a_slack_that_refuses_is_left_alone_as_long_as_it_asks_and_holds_up_no_mail(
    outbox: psycopg.Connection, slack: Endpoint, mail: Mailbox, answer: tuple[int, dict[str, str], int]
) -> None:
    status, headers, wait = answer
    slack.status, slack.headers = status, headers
    see(outbox, 0, DOWN)
    see(outbox, 0, DOWN, Status("HDFS", False, "no live DataNode"))

    outcome = deliver(outbox)

    assert outcome.problems == (f"message 1 to slack: Slack answers HTTP {status} 'no_text'; tried again in {wait} s",)
    assert (outcome.sent, len(slack.received), len(mail.messages)) == (2, 1, 2)
    left = outbox.execute("select next_try_at - now() from ops.outbox_channel").fetchall()
    assert timedelta(seconds=wait - 5) < left[0][0] <= timedelta(seconds=wait)
    # nothing is tried before that time is over; then both come, in order
    assert deliver(outbox).sent == 0
    assert len(slack.received) == 1
    slack.status = 200
    let_try_again(outbox)
    assert deliver(outbox).sent == 2
    assert [text.partition("\n")[0] for text in slack.texts[1:]] == ["*PROBLEM: Service down: Kafka*", "*PROBLEM: Service down: HDFS*"]
    assert states(outbox) == ["email: delivered", "slack: delivered"] * 2


def test_a_message_that_slack_will_never_take_is_given_up_and_the_next_one_sent(outbox: psycopg.Connection, slack: Endpoint) -> None:
    slack.status = 400
    see(outbox, 0, DOWN)
    assert deliver(outbox).problems == ("message 1 to slack: Slack refuses the message: HTTP 400 'no_text'; given up",)
    slack.status = 200
    see(outbox, 1, DOWN, Status("HDFS", False, "no live DataNode"))
    deliver(outbox)
    assert states(outbox)[-1] == "slack: given up (Slack refuses the message: HTTP 400 'no_text')"
    assert slack.texts[1].startswith("*PROBLEM: Service down: HDFS*")


def test_a_slow_slack_costs_its_timeout_once_and_mail_goes_on(
    outbox: psycopg.Connection, slack: Endpoint, mail: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channels, "TIMEOUT_SECONDS", 1)
    slack.hold = threading.Event()
    see(outbox, 0, DOWN, Status("HDFS", False, "no live DataNode"))
    began = time.monotonic()
    outcome = deliver(outbox)
    assert time.monotonic() - began < 5
    assert outcome.problems == ("message 1 to slack: Slack does not answer: timed out; tried again in 30 s",)
    assert (outcome.sent, len(mail.messages)) == (2, 2)


def test_servers_that_are_down_lose_nothing_and_no_secret_is_told(
    outbox: psycopg.Connection, slack: Endpoint, mail: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOGLAKE_SLACK_WEBHOOK_URL", "http://127.0.0.1:1/services/T0/B0/secret")
        patch.setenv("LOGLAKE_SMTP_PORT", "1")
        settings.cache_clear()
        see(outbox, 0, DOWN)
        outcome = deliver(outbox)
    settings.cache_clear()
    assert outcome.sent == 0
    assert [problem.partition(":")[0] for problem in outcome.problems] == ["message 1 to slack", "message 1 to email"]
    assert all("Connection refused" in problem and "secret" not in problem for problem in outcome.problems)
    let_try_again(outbox)
    assert deliver(outbox).sent == 2
    assert (len(slack.received), len(mail.messages)) == (1, 1)


def test_a_webhook_that_is_no_url_is_told_without_a_call(outbox: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGLAKE_SLACK_WEBHOOK_URL", "T0/B0/secret")
    settings.cache_clear()
    see(outbox, 0, DOWN)
    (problem,) = deliver(outbox).problems
    assert "LOGLAKE_SLACK_WEBHOOK_URL is no URL" in problem
    assert "secret" not in problem


def test_a_mail_server_that_puts_off_is_asked_again_and_one_that_refuses_is_not(outbox: psycopg.Connection, mail: Mailbox) -> None:
    mail.answer = "451 try again"
    see(outbox, 0, DOWN)
    assert "the mail server answers 451" in deliver(outbox).problems[0]
    let_try_again(outbox)
    mail.answer = "554 no spam"
    assert deliver(outbox).problems[0].endswith("given up")
    mail.answer = "250 OK"
    let_try_again(outbox)
    assert deliver(outbox).sent == 0


def test_mail_is_encrypted_its_servers_certificate_checked_and_a_log_in_made(
    outbox: psycopg.Connection, mail: Mailbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    certificate = write_certificate(tmp_path / "server.pem")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    monkeypatch.setenv("LOGLAKE_SMTP_STARTTLS", "true")
    monkeypatch.setenv("LOGLAKE_SMTP_PORT", str(port))
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setenv("LOGLAKE_SMTP_USER", "ops")
    monkeypatch.setenv("LOGLAKE_SMTP_PASSWORD", "mistaken")
    settings.cache_clear()
    see(outbox, 0, DOWN)
    with mail_server(port, certificate, login=("ops", "the secret")) as encrypted:
        outcome = deliver(outbox)
        assert outcome.sent == 1
        assert "the mail server does not take it: (535" in outcome.problems[0]
        assert "mistaken" not in outcome.problems[0]
        monkeypatch.setenv("LOGLAKE_SMTP_PASSWORD", "the secret")
        settings.cache_clear()
        let_try_again(outbox)
        assert deliver(outbox).sent == 1
    assert [letter["Subject"] for letter in encrypted.messages] == ["[loglake] PROBLEM: Service down: Kafka"]
    assert mail.messages == []


def test_killed_while_it_sends_it_sends_the_message_again(
    outbox: psycopg.Connection, slack: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = channels.send

    def killed(*arguments: Any) -> str:
        send(*arguments)
        raise KeyboardInterrupt

    see(outbox, 0, DOWN)
    monkeypatch.setattr(channels, "send", killed)
    with pytest.raises(KeyboardInterrupt):
        deliver(outbox)
    monkeypatch.setattr(channels, "send", send)
    deliver(outbox)
    assert [text.partition("\n")[0] for text in slack.texts] == ["*PROBLEM: Service down: Kafka*"] * 2


def test_without_a_channel_messages_can_be_read(outbox: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGLAKE_SLACK_WEBHOOK_URL", "")
    monkeypatch.setenv("LOGLAKE_SMTP_HOST", "")
    settings.cache_clear()
    see(outbox, 0, DOWN)
    assert deliver(outbox).sent == 0
    assert [(sent.subject, sent.deliveries) for sent in store.recent_messages(outbox, 9)] == [("PROBLEM: Service down: Kafka", [])]
