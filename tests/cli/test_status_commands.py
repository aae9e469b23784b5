"""``flask status``: below each step that is to do stands the command for it, and it exists."""

import re
from collections.abc import Callable
from pathlib import Path

from services.core.commands import PROGRAM
from tests.cli.conftest import PRODUCTION, Terminal
from tests.conftest import NUMBER, NUMBER_ENTRY, PEER
from tests.message_steps import receive_text


def test_each_step_to_do_has_a_command_that_exists(make_terminal: Callable[..., Terminal]) -> None:
    terminal = make_terminal(**PRODUCTION)
    shown = terminal.flask("status", code=1).stdout  # 1: no worker runs
    steps = shown.count("TODO  ")
    commands = re.findall(rf"^ +{re.escape(PROGRAM)} (.+)$", shown, re.MULTILINE)
    assert steps == len(commands) == 5
    for command in commands:
        words = [word for word in command.split() if re.fullmatch("[a-z]+", word)]
        terminal.flask(*words, "--help")


def test_an_imported_text_is_no_first_text(
    make_terminal: Callable[..., Terminal], tmp_path: Path
) -> None:
    terminal = make_terminal(NUMBER_ENTRY)
    rows = tmp_path / "m.csv"
    rows.write_text(f"direction,from,to,text,at\nin,{PEER},{NUMBER},old,2026-01-02 03:04:06\n")
    terminal.flask("migrate", "csv", "--messages", str(rows), "--yes")
    assert "TODO  The first text" in terminal.flask("status", code=1).stdout
    receive_text(terminal.gateway)
    assert "done  The first text" in terminal.flask("status", code=1).stdout


def test_a_step_that_is_done_has_none(make_terminal: Callable[..., Terminal]) -> None:
    shown = make_terminal(NUMBER_ENTRY).flask("status", code=1).stdout
    assert re.search(r"done  A number is assigned: .*\n(done|TODO)", shown)
