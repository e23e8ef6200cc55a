"""What the libraries make of user agents, names of countries and hosts: also of what is none."""

import socket
from datetime import date

import pytest

from loglake.reference import Client, Country, client, country, domain, holidays
from producers.catalogue import CLIENTS, LOCALES

pytestmark = pytest.mark.unit
NONE = Client("Other", None, "Other", None, "Other")


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("reference data must not come from the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def test_a_user_agent_names_browser_system_and_device() -> None:
    iphone = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 Version/18.5 Mobile/15E148 Safari/604.1"
    assert client(iphone) == Client("Mobile Safari", "18", "iOS", "18", "iPhone")
    assert client("Googlebot/2.1 (+http://www.google.com/bot.html)")[::4] == ("Googlebot", "Spider")


@pytest.mark.parametrize("text", ["", "-", "👟👟", "Mozilla/5.0 (" * 300, "x" * 4096, "\n\t"])
def test_what_is_no_user_agent_is_other(text: str) -> None:
    assert client(text) == NONE


def test_the_generators_clients_are_known() -> None:
    assert not {shown.user_agent for shown in CLIENTS if "Other" in client(shown.user_agent)[:3:2]}


@pytest.mark.parametrize("spelling", ["Germany", "DE", "de", "DEU", " Federal Republic of Germany "])
def test_a_country_is_known_by_name_and_code(spelling: str) -> None:
    assert country(spelling) == Country("DE", "Germany", "Western Europe", "Europe")


@pytest.mark.parametrize(("spelling", "code"), [("UK", "GB"), ("USA", "US"), ("EL", "GR"), ("South Korea", "KR"), ("Nigeria", "NG")])
def test_a_country_with_several_codes_has_that_of_iso(spelling: str, code: str) -> None:
    assert country(spelling).code == code


@pytest.mark.parametrize("spelling", ["Atlantis", "", "XX", "Virgin Islands", "Guinea and Mali", "🇩🇪", ".*"])
def test_what_means_no_one_country_stays_as_it_is_told(spelling: str) -> None:
    assert country(spelling) == Country(None, spelling, None, None)


def test_the_generators_countries_are_known() -> None:
    codes = {locale.partition("_")[2] for locale in LOCALES}
    assert {country(code).code for code in codes} == codes


@pytest.mark.parametrize(
    ("host", "registered"),
    [
        ("m.shop.co.uk", "shop.co.uk"),
        ("news.google.com", "google.com"),
        ("münchen.de", "münchen.de"),
        ("search.example", "search.example"),
        ("localhost", "localhost"),
        ("192.0.2.7", "192.0.2.7"),
        ("[2001:db8::1]", "[2001:db8::1]"),
        ("..", ".."),
        ("a" * 253, "a" * 253),
    ],
)
def test_a_host_has_its_registered_domain_or_itself(host: str, registered: str) -> None:
    assert domain(host) == registered


def test_holidays_are_nationwide_and_named_in_english() -> None:
    found = holidays("DE", range(2026, 2028))
    assert found[date(2026, 12, 25)] == "Christmas Day"
    assert date(2026, 6, 4) not in found  # Corpus Christi, in some of its states only
    assert {day.year for day in found} == {2026, 2027}
    assert holidays("ZZ", [2026]) == {}
