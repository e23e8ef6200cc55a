"""The ways to people: Slack and e-mail, through Airflow's providers. Which are set up, and what each makes of a message.

`send` says nothing when the server took the message, and raises otherwise: RefusedError when it will never take this one, UnreachableError
when it may later. Neither tells the webhook's address, which is a secret.
"""

import html
import json
import smtplib
from collections.abc import Collection

from loglake.alerts.store import Text
from loglake.errors import BadInputError, LoglakeError, SettingsError
from loglake.settings import settings

SLACK, EMAIL = "slack", "email"
CHANNELS = (SLACK, EMAIL)
TIMEOUT_SECONDS = 10
#: Of incidents with a key that begins so, e-mail tells even where Slack is set up.
_BY_EMAIL = "service_down:"
#: Answers of Slack that say the message itself is wrong; any other failure is the channel's.
_BAD_MESSAGE = (400, 413)


class RefusedError(LoglakeError):
    """The server will not take this message, however often it is sent."""

    exit_code = 1


class UnreachableError(LoglakeError):
    """The message was not taken, and may be later: not before `retry_after` seconds where the server says so."""

    exit_code = 1

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


def configured() -> tuple[str, ...]:
    """The channels that the settings name a server for."""
    config = settings()
    is_set = {SLACK: bool(config.slack.webhook_url.get_secret_value()), EMAIL: bool(config.smtp.host and config.smtp.recipients)}
    return tuple(channel for channel in CHANNELS if is_set[channel])


def route(key: str, available: Collection[str]) -> list[str]:
    """The channels that tell of an incident: Slack of all; e-mail of services, and of all where there is no Slack."""
    return [channel for channel in available if channel == SLACK or key.startswith(_BY_EMAIL) or SLACK not in available]


def send(channel: str, text: Text) -> str:
    """Send a message; what the server answered."""
    if channel not in CHANNELS:
        raise BadInputError(f"no channel {channel!r}: there are {', '.join(CHANNELS)}")
    if channel not in configured():
        wanted = "LOGLAKE_SLACK_WEBHOOK_URL" if channel == SLACK else "LOGLAKE_SMTP_HOST and LOGLAKE_SMTP_RECIPIENTS"
        raise SettingsError(f"{channel} is not set up: set {wanted}")
    return _send_slack(text) if channel == SLACK else _send_email(text)


def slack_text(text: Text) -> str:
    """Slack's mark-up: the subject bold, and what is special to it escaped (https://api.slack.com/reference/surfaces/formatting)."""
    subject, body = (part.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") for part in (text.subject, text.body))
    return f"*{subject}*\n{body}"


def email_html(text: Text) -> str:
    """The provider sends HTML."""
    return f"<pre>{html.escape(text.body, quote=False)}</pre>"


def _send_slack(text: Text) -> str:
    from airflow.providers.slack.hooks.slack_webhook import SlackWebhookHook
    from airflow.sdk import Connection

    class Hook(SlackWebhookHook):
        """The hook with the connection of our settings, wherever it runs."""

        @classmethod
        def get_connection(cls, conn_id: str) -> Connection:
            url = settings().slack.webhook_url.get_secret_value()
            return Connection(conn_id=conn_id, conn_type="slackwebhook", password=url)

    # The provider takes anything else for a token of hooks.slack.com.
    if not settings().slack.webhook_url.get_secret_value().startswith(("https://", "http://")):
        raise UnreachableError("LOGLAKE_SLACK_WEBHOOK_URL is no URL: the whole https://… of an incoming webhook is needed")
    hook = Hook(slack_webhook_conn_id="loglake_slack", timeout=TIMEOUT_SECONDS, retry_handlers=[])
    try:
        answer = hook.client.send(text=slack_text(text), unfurl_links=False)
    except Exception as error:  # the client raises whatever urllib and http.client do, and SlackRequestError for no URL
        raise UnreachableError(f"Slack does not answer: {_reason(error)}") from error
    said = f"HTTP {answer.status_code} {answer.body[:100]!r}"
    if answer.status_code in _BAD_MESSAGE:
        raise RefusedError(f"Slack refuses the message: {said}")
    if answer.status_code != 200:
        wait = {name.lower(): value for name, value in answer.headers.items()}.get("retry-after", "")
        raise UnreachableError(f"Slack answers {said}", float(wait) if wait.isdigit() else None)
    return f"Slack answered {said}"


def _send_email(text: Text) -> str:
    from airflow.providers.smtp.hooks.smtp import SmtpHook
    from airflow.sdk import Connection

    config = settings().smtp

    class Hook(SmtpHook):
        """The hook with the connection of our settings, wherever it runs."""

        @classmethod
        def get_connection(cls, conn_id: str) -> Connection:
            extra = {"disable_ssl": True, "disable_tls": not config.starttls, "timeout": TIMEOUT_SECONDS, "retry_limit": 0}
            login = {"login": config.user, "password": config.password.get_secret_value()} if config.user else {}
            return Connection(conn_id=conn_id, conn_type="smtp", host=config.host, port=config.port, extra=json.dumps(extra), **login)

        def __enter__(self) -> SmtpHook:
            try:
                return super().__enter__()
            except smtplib.SMTPException:
                # The provider's hook leaves a connection open whose log-in was refused.
                if isinstance(self._smtp_client, smtplib.SMTP):
                    self._smtp_client.close()
                raise

    try:
        with Hook("loglake_smtp") as hook:
            hook.send_email_smtp(
                to=config.recipients, subject=f"[loglake] {text.subject}", html_content=email_html(text), from_email=config.sender
            )
    except smtplib.SMTPDataError as error:
        failure = RefusedError if error.smtp_code >= 500 else UnreachableError
        raise failure(f"the mail server answers {error.smtp_code} {_reason(error)}") from error
    except Exception as error:  # the hook wraps some of smtplib's and the socket's errors, and not others
        raise UnreachableError(f"the mail server does not take it: {_reason(error)}") from error
    return f"{config.host}:{config.port} took it for {config.recipients}"


def _reason(error: Exception) -> str:
    """What an error says in one line, without the webhook's address and the password."""
    said = " ".join(str(error).split()) or type(error).__name__
    for secret in (settings().slack.webhook_url, settings().smtp.password):
        if secret.get_secret_value():
            said = said.replace(secret.get_secret_value(), "…")
    return said[:200]
