"""``flask devices`` and ``flask contacts``."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from io import StringIO
from pathlib import Path

import pytest
import segno

from services.store import devices
from tests.cli.conftest import NASTY, PRODUCTION, PUBLIC, Terminal
from tests.conftest import PEER
from tests.server import ROOT, Server


def test_a_device_gets_a_token_that_works_until_it_is_revoked(terminal: Terminal) -> None:
    made = terminal.json("devices", "add", "201", "--name", "Reception")
    assert set(made) == {"device_id", "token", "extension", "name"}
    assert (made["extension"], made["name"]) == ("201", "Reception")
    store = terminal.gateway.store
    device = store.read(lambda tx: devices.by_token(tx, made["token"]))
    assert device is not None
    assert device.id == made["device_id"]
    [listed] = terminal.json("devices", "list", "--extension", "201")
    assert (listed["device_id"], listed["name"]) == (device.id, "Reception")
    assert made["token"] not in terminal.flask("devices", "list").output
    assert terminal.json("devices", "list", "--extension", "202") == []
    terminal.flask("devices", "revoke", device.id)
    assert store.read(lambda tx: devices.by_token(tx, made["token"])) is None
    assert "There is no device" in terminal.flask("devices", "revoke", device.id, code=1).stderr


def test_a_token_is_shown_to_people_with_a_warning(terminal: Terminal) -> None:
    result = terminal.flask("devices", "add", "201", "--name", "Reception")
    assert "Token:         tb_" in result.output
    assert "shown this once" in result.output
    assert result.stderr == ""


def test_a_pairing_code_stands_for_its_extension_once(terminal: Terminal) -> None:
    told = terminal.json("devices", "pair", "201")
    assert (told["extension"], told["expires_in"]) == ("201", 600)
    use = terminal.gateway.store.write
    assert use(lambda tx: devices.use_pairing(tx, told["code"])) == "201"
    assert use(lambda tx: devices.use_pairing(tx, told["code"])) is None
    shown = terminal.flask("devices", "pair", "201").output
    assert "ten minutes" in shown
    assert "█" not in shown, "no QR code where it would be read by a program"


def test_a_pairing_link_keeps_its_code_from_the_log(make_terminal: Callable[..., Terminal]) -> None:
    told = make_terminal(PUBLIC, **PRODUCTION).json("devices", "pair", "201")
    assert told["link"] == f"https://sms.example.com/phone/#code={told['code']}"


def test_a_terminal_shows_the_pairing_link_as_a_qr_code(tmp_path: Path) -> None:
    env = Server(tmp_path / "storage", {}).env
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "devices", "pair", "201"]
    with subprocess.Popen(command, cwd=ROOT, env=env, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        output = b""
        with suppress(OSError):  # a terminal that was closed at its other end
            while part := os.read(ours, 4096):
                output += part
    os.close(ours)
    assert process.returncode == 0, output
    shown = output.decode().replace("\r\n", "\n")
    code = StringIO()
    segno.make_qr(re.findall("http[^ ]+#code=[A-Z0-9-]+", shown)[0]).terminal(code, compact=True)
    assert code.getvalue() in shown


@pytest.mark.parametrize("command", [("add", "--name", "x"), ("pair",)])
def test_an_extension_without_a_number_is_taken_with_a_note(
    terminal: Terminal, command: tuple[str, ...]
) -> None:
    word, *options = command
    result = terminal.flask("devices", word, "999", *options, "--json")
    assert "--extension 999" in result.stderr
    assert json.loads(result.stdout)["extension"] == "999"


@pytest.mark.parametrize(
    "command", [("devices", "pair", "20x1"), ("extensions", "name", "20x1", "Ann")]
)
def test_an_extension_that_nothing_names_is_taken_with_a_note(
    terminal: Terminal, command: tuple[str, ...]
) -> None:
    noted = terminal.flask(*command).stderr
    assert "Nothing names extension 20x1 yet" in noted
    assert "Did you mean 201?" in noted
    known = (*command[:2], "201", *command[3:])
    assert "Nothing names" not in terminal.flask(*known).stderr


@pytest.mark.parametrize("extension", ["2 01", "", "2" * 33, "201;"])
def test_what_is_no_extension_is_a_wrong_use(terminal: Terminal, extension: str) -> None:
    assert "up to 32" in terminal.flask("devices", "pair", extension, code=2).stderr
    terminal.flask("devices", "add", "201", code=2)  # no name


def test_contacts_are_set_listed_and_removed(terminal: Terminal) -> None:
    terminal.flask("contacts", "set", "(303) 555-0177", " Ann Example ")
    terminal.flask("contacts", "set", PEER, f"Ann {NASTY}")
    assert terminal.json("contacts", "list") == [
        {"number": PEER, "name": f"Ann {NASTY}".replace("\u202e", "\ufffd"), "note": ""}
    ]
    assert "\x1b" not in terminal.flask("contacts", "list").output
    terminal.flask("contacts", "remove", "303 555 0177")
    assert "has no name" in terminal.flask("contacts", "remove", PEER, code=1).stderr
    assert "No contact" in terminal.flask("contacts", "list").output
    assert "1 to 100" in terminal.flask("contacts", "set", PEER, "  ", code=1).stderr
    assert "is not a phone number" in terminal.flask("contacts", "set", "?", "Ann", code=1).stderr


def test_contacts_are_imported_all_or_none(terminal: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "contacts.csv"
    file.write_text(
        '\ufeffName,Company,Number\n"Example, Ann",Acme,303-555-0177\nParcels,,72404\n', "utf-8"
    )
    assert "2 added" in terminal.flask("contacts", "import", str(file)).output
    wanted = [
        {"number": PEER, "name": "Example, Ann", "note": ""},
        {"number": "72404", "name": "Parcels", "note": ""},
    ]
    assert terminal.json("contacts", "list") == wanted
    file.write_text("number,name\n+13035550188,Bob\n?,Eve\n", "utf-8")
    assert "Line 3" in terminal.flask("contacts", "import", str(file), code=1).stderr
    assert terminal.json("contacts", "list") == wanted
    file.write_text("number,name\n+13035550188\n", "utf-8")
    assert "Line 2" in terminal.flask("contacts", "import", str(file), code=1).stderr
    file.write_text("phone,who\n+13035550188,Bob\n", "utf-8")
    assert "name the columns" in terminal.flask("contacts", "import", str(file), code=1).stderr
    file.write_bytes("number,name\n+13035550188,Jörg\n".encode("latin-1"))
    assert "CSV UTF-8" in terminal.flask("contacts", "import", str(file), code=1).stderr
    file.write_text(f"number,name\n+13035550188,{'x' * 200_000}\n", "utf-8")
    assert "field larger" in terminal.flask("contacts", "import", str(file), code=1).stderr
    assert terminal.json("contacts", "list") == wanted
