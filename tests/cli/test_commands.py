"""What every command does: help, odd arguments, errors in words, exit codes."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from blueprints.cli import COMMANDS
from services.message_settings import MessageSettings
from services.messaging.bulk_recipients import Recipient
from services.messaging.bulk_sending import BulkRequest
from services.store import blocked_senders
from tests.cli.conftest import Terminal, inbound
from tests.conftest import NUMBER, NUMBER_ENTRY, PEER
from tests.message_steps import raw_call, receive_call


def commands() -> Iterator[tuple[str, ...]]:
    """The words of every command."""
    for top in COMMANDS:
        if isinstance(top, click.Group):
            yield from ((str(top.name), name) for name in top.commands)
        else:
            yield (str(top.name),)


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_every_command_explains_itself(terminal: Terminal, words: tuple[str, ...]) -> None:
    usage, _, explanation = terminal.flask(*words, "--help").output.partition("\n\n")
    assert usage.startswith("Usage:")
    assert explanation.strip()
    assert not explanation.strip().startswith("Options:")


def test_arguments_that_are_no_text_do_no_harm(terminal: Terminal) -> None:
    terminal.flask("settings", "set", NUMBER, "--description", "Front\udcff desk")
    assert terminal.json("settings", "list")["numbers"][0]["description"] == "Front\ufffd desk"
    terminal.flask("devices", "add", "201", "--name", "\udcff")
    terminal.flask("messages", "show", "\udcff", code=1)


# Arguments that cannot be used, and what the error says.
BAD_INPUT = {
    "devices pair": "EXTENSION",
    "devices pair 2/1": "up to 32 letters",
    "devices add 201": "--name",
    "devices add 201 --name=": "1 to 100 characters",
    "devices provision 201 --name=": "1 to 100 characters",
    "devices test nope": "flask devices list",
    "settings change +12025550199 --disable": "Check how it is written",
    "settings change abc --disable": "such as +12025550143",
    "settings import /proc/none": "No such file",
    "settings import README.md": "line 1, column 1: this is not JSON",
    "messages list --carrier nosuch": "'nosuch' is not one of 'bandwidth'",
    "messages list --status nosuch": "'nosuch' is not one of 'received'",
    "messages list --since never": "like 2026-11-20",
    "messages list --limit x": "--limit",
    "messages show nope": "flask messages list",
    "carriers list extra": "extra",
    "database copy extra": "extra",
}


@pytest.mark.parametrize(("typed", "words"), BAD_INPUT.items())
def test_bad_input_is_an_error_in_words_and_for_programs(
    terminal: Terminal, typed: str, words: str
) -> None:
    result = terminal.app.test_cli_runner().invoke(args=[*typed.split(), "--json"])
    assert result.exit_code in (1, 2)
    assert isinstance(result.exception, SystemExit), "no traceback"
    assert words in result.stderr
    [(name, sentence)] = json.loads(result.stdout).items()
    assert name == "error"
    assert words in sentence
    plainly = terminal.app.test_cli_runner().invoke(args=typed.split())
    assert (plainly.exit_code, plainly.stdout) == (result.exit_code, "")


@pytest.mark.parametrize(
    ("typed", "words"),
    {
        "contacts remove +13035550199": "flask contacts list",
        "messages retry nope": "flask messages list",
        "messages settle nope --sent": "flask messages list",
        "messages recover --since never": "like 2026-11-20",
        "simulate sandbox --from 72404 --to +12025550100 --text x --url foo": "https://",
        "simulate sandbox --from 72404 --to +12025550100 --media-url cat.gif": "https://",
    }.items(),
)
def test_an_error_says_what_to_do(terminal: Terminal, typed: str, words: str) -> None:
    result = terminal.app.test_cli_runner().invoke(args=typed.split())
    assert result.exit_code in (1, 2)
    assert words in result.stderr


def test_an_export_that_is_refused_leaves_the_file_as_it_was(
    terminal: Terminal, tmp_path: Path
) -> None:
    file = tmp_path / "messages.csv"
    file.write_text("of yesterday")
    terminal.flask("messages", "export", str(file), "--number", "abc", code=1)
    assert file.read_text() == "of yesterday"
    terminal.flask("messages", "export", str(file))
    assert "of yesterday" not in file.read_text()


def test_a_file_that_cannot_be_written_is_named(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", "message_settings.lock")

    monkeypatch.setattr(MessageSettings, "put", refuse)
    told = terminal.flask("settings", "set", NUMBER, "--description", "x", code=1).stderr
    assert told == "Error: message_settings.lock: Permission denied.\n"


def test_a_database_that_is_none_is_an_error_in_words(terminal: Terminal, tmp_path: Path) -> None:
    terminal.gateway.store.engine.dispose()
    (tmp_path / "textbridge.db-wal").unlink(missing_ok=True)
    (tmp_path / "textbridge.db").write_bytes(b"no database " * 1000)
    told = terminal.flask("messages", "list", code=1).stderr
    assert told.startswith("Error: The database cannot take it now")


def test_times_are_shown_with_their_zone(make_terminal: Callable[..., Terminal]) -> None:
    terminal = make_terminal(
        NUMBER_ENTRY, APP_TIMEZONE="America/New_York", BULK_SENDING="true", SEND_COUNTRIES="US"
    )
    gateway = terminal.gateway
    message = inbound(gateway)
    terminal.flask("devices", "add", "201", "--name", "phone")
    terminal.flask("optouts", "add", PEER, "--number", NUMBER, "--reason", "On the phone.")
    gateway.store.write(lambda tx: blocked_senders.add(tx, PEER, NUMBER, "201"))
    receive_call(gateway, gateway.providers["sandbox"], raw_call(gateway, b"no JSON"))
    [call] = terminal.json("quarantine", "list")
    asked = BulkRequest("Closed", "Closed.", (Recipient(2, "+13035550188", {}),))
    made, _ = gateway.bulk_sending.create("201", asked, "a test")
    rule = ("--from", PEER, "--to", NUMBER)
    for command in (
        ("messages", "list"),
        ("messages", "show", message.id),
        ("devices", "list"),
        ("optouts", "list"),
        ("blocked", "list"),
        ("quarantine", "list"),
        ("quarantine", "show", str(call["id"])),
        ("bulksends", "list"),
        ("bulksends", "show", made.id),
        ("rules", "test", *rule),
        ("activity",),
    ):
        shown = terminal.flask(*command).output
        assert re.search(r"\b(EST|EDT|America/New_York)\b", shown), command
        assert not re.search(r"\d:\d\d:\d\d(?! E[SD]T)", shown), command
