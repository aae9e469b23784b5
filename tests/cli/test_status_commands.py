"""``flask status``: below each step that is to do stands the command for it, and it exists."""

import re
from collections.abc import Callable

from services.core.commands import PROGRAM
from tests.cli.conftest import PRODUCTION, Terminal
from tests.conftest import NUMBER_ENTRY


def test_each_step_to_do_has_a_command_that_exists(make_terminal: Callable[..., Terminal]) -> None:
    terminal = make_terminal(**PRODUCTION)
    shown = terminal.flask("status", code=1).stdout  # 1: no worker runs
    steps = shown.count("TODO  ")
    commands = re.findall(rf"^ +{re.escape(PROGRAM)} (.+)$", shown, re.MULTILINE)
    assert steps == len(commands) == 5
    for command in commands:
        words = [word for word in command.split() if re.fullmatch("[a-z]+", word)]
        terminal.flask(*words, "--help")


def test_a_step_that_is_done_has_none(make_terminal: Callable[..., Terminal]) -> None:
    shown = make_terminal(NUMBER_ENTRY).flask("status", code=1).stdout
    assert re.search(r"done  A number is assigned: .*\n(done|TODO)", shown)
