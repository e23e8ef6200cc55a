"""supervisord.conf is read by supervisor as it was meant."""

import shlex
from configparser import RawConfigParser
from pathlib import Path

import pytest
from supervisor.datatypes import dict_of_key_value_pairs

from loglake.errors import ServiceError
from stack import config
from stack.service import Port, Service
from stack.services import services

pytestmark = pytest.mark.unit
RUNTIME, LOGS = Path("/run/lake"), Path("/run/lake/logs")


def service(**changes: object) -> Service:
    values: dict[str, object] = {"name": "web", "title": "", "command": ("serve", "a b", "100%"), "probe": lambda _: "", **changes}
    return Service(**values)  # type: ignore[arg-type]


def program(one: Service) -> dict[str, str]:
    """The section of a service, as supervisor's parser sees it: comments cut, `%%` undone."""
    parser = RawConfigParser(inline_comment_prefixes=(";", "#"))
    parser.read_string(config.render([one], RUNTIME, LOGS))
    return {key: value.replace("%%", "%") for key, value in parser[f"program:{one.name}"].items()}


def test_command_survives_quoting() -> None:
    assert shlex.split(program(service())["command"]) == ["serve", "a b", "100%"]


def test_environment_survives_quoting() -> None:
    variables = {"PLAIN": "a,b=c d", "JSON": '{"a": 1}', "PERCENT": "50%", "EMPTY": ""}

    read = dict_of_key_value_pairs(program(service(environment=variables, ports=(Port(80, "X"), Port(81, "Y"))))["environment"])

    assert read == {**variables, "LOGLAKE_STACK_PORTS": "80 81"}


@pytest.mark.parametrize("value", ['it\'s "both"', '"quoted"', "ends'"])
def test_environment_that_would_be_garbled_is_refused(value: str) -> None:
    with pytest.raises(ServiceError, match="NAME cannot be handed to supervisor"):
        config.environment({"NAME": value})


def test_value_that_would_be_cut_as_a_comment_is_refused() -> None:
    with pytest.raises(ServiceError, match="a space before"):
        config.render([service(command=("serve", "a #b"))], RUNTIME, LOGS)


def test_what_dies_is_restarted_but_not_what_decided_to_end() -> None:
    always, sometimes = program(service()), program(service(final_exit_codes=(0, 2)))

    assert (always["autostart"], always["autorestart"]) == ("false", "true")
    assert (sometimes["autorestart"], sometimes["exitcodes"]) == ("unexpected", "0,2")


def test_stop_reaches_the_group_unless_the_server_stops_its_children() -> None:
    assert program(service())["stopasgroup"] == "true"
    assert program(service(stop_group=False, stop_signal="INT"))["stopasgroup"] == "false"
    assert program(service(stop_group=False))["killasgroup"] == "true"


def test_socket_is_short_enough_for_the_kernel() -> None:
    long = Path("/") / ("deep/" * 40)

    assert config.socket_path(RUNTIME) == RUNTIME / "supervisor.sock"
    assert len(str(config.socket_path(long))) < 100
    assert config.socket_path(long) == config.socket_path(long) != config.socket_path(long / "other")


def test_each_service_comes_behind_what_it_needs() -> None:
    names = [service.name for service in services()]
    for service in services():
        assert set(service.after) <= set(names[: names.index(service.name)]), service.name
