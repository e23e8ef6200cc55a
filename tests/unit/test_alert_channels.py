"""Which channel tells what, how each dresses a message, and how long a failing one is left alone."""

from datetime import timedelta

import pytest

from loglake.alerts import channels, deliver
from loglake.alerts.callbacks import first_line
from loglake.alerts.store import Text
from loglake.errors import BadInputError, ServiceError, SettingsError

pytestmark = pytest.mark.unit

TEXT = Text("opened", "PROBLEM: a <b> & c", "first *line*\nsecond <line>")


@pytest.mark.parametrize(
    ("key", "available", "wanted"),
    [
        ("lag", ("slack", "email"), ["slack"]),
        ("service_down:Kafka", ("slack", "email"), ["slack", "email"]),
        ("dag:loglake_batch", ("email",), ["email"]),
        ("service_down:Kafka", ("slack",), ["slack"]),
        ("lag", (), []),
    ],
)
def test_slack_tells_all_and_email_services_or_all_without_slack(key: str, available: tuple[str, ...], wanted: list[str]) -> None:
    assert channels.route(key, available) == wanted


def test_each_channel_escapes_what_is_special_to_it() -> None:
    assert channels.slack_text(TEXT) == "*PROBLEM: a &lt;b&gt; &amp; c*\nfirst *line*\nsecond &lt;line&gt;"
    assert channels.email_html(TEXT) == "<pre>first *line*\nsecond &lt;line&gt;</pre>"


def test_a_failing_channel_is_left_alone_twice_as_long_each_time_or_as_long_as_it_asks() -> None:
    waits = [deliver.back_off(failures, None).total_seconds() for failures in (1, 2, 3, 7, 99)]
    assert waits == [30, 60, 120, 1800, 1800]
    assert deliver.back_off(5, 7.0) == timedelta(seconds=7)
    assert deliver.back_off(1, 1e9) == deliver.LONGEST_WAIT


def test_a_channel_that_is_none_or_not_set_up_is_one_line() -> None:
    with pytest.raises(BadInputError, match="no channel 'pigeon': there are slack, email"):
        channels.send("pigeon", TEXT)
    with pytest.raises(SettingsError, match="slack is not set up: set LOGLAKE_SLACK_WEBHOOK_URL"):
        channels.send("slack", TEXT)
    with pytest.raises(SettingsError, match="email is not set up: set LOGLAKE_SMTP_HOST and LOGLAKE_SMTP_RECIPIENTS"):
        channels.send("email", TEXT)


def test_the_first_line_of_an_error() -> None:
    assert first_line(ServiceError("another load is in flight\nTraceback …")) == "another load is in flight"
    assert first_line(TimeoutError()) == "TimeoutError"
    assert first_line(None) == "Airflow ended the task (killed, or its time was up)"
    assert len(first_line(ServiceError("x" * 9999))) == 500
