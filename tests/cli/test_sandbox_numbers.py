"""Numbers of the sandbox that are left beside a real carrier: named, with a remedy."""

import re
from collections.abc import Callable

from services.core.commands import PROGRAM
from tests.cli.conftest import PRODUCTION, Terminal
from tests.conftest import NUMBER, NUMBER_ENTRY

OURS = NUMBER_ENTRY | {"carrier": "sandbox"}
REAL = {"number": "+12025550143", "carrier": "bandwidth", "extensions": ["201"]}


def warned(terminal: Terminal) -> list[str]:
    return [
        warning["reason"]
        for warning in terminal.json("status", code=1)["warnings"]  # 1: no worker runs
        if warning["name"] == "configuration"
    ]


def named(terminal: Terminal) -> list[str]:
    document = terminal.json("config", "check", code=1)
    return [each["remedy"] for each in document["problems"] if "sandbox" in each["reason"]]


def test_status_and_config_check_name_the_number_and_their_remedy_ends_it(
    make_terminal: Callable[..., Terminal],
) -> None:
    terminal = make_terminal(OURS, REAL, **PRODUCTION)
    [reason] = warned(terminal)
    [remedy] = named(terminal)
    assert NUMBER in reason
    assert REAL["number"] not in reason
    command = re.search(rf"`{re.escape(PROGRAM)} ([^`]+)`", remedy)
    assert command is not None
    terminal.flask(*command[1].split())
    assert warned(terminal) == []
    [left] = terminal.json("settings", "list")["numbers"]
    assert left["number"] == REAL["number"]


def test_nothing_is_said_while_the_sandbox_is_on_or_of_a_disabled_number(
    make_terminal: Callable[..., Terminal],
) -> None:
    assert warned(make_terminal(OURS)) == []  # the sandbox is on
    disabled = make_terminal(OURS | {"enabled": False}, **PRODUCTION)
    assert warned(disabled) == []
