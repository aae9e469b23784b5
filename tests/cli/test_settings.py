"""``flask settings``: Message Settings listed, changed, exported and imported."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from services.operations.settings_source import FILE
from tests.cli.conftest import PUBLIC, Terminal
from tests.conftest import NUMBER, NUMBER_ENTRY, settings_file


def test_a_number_is_added_written_any_usual_way(
    make_terminal: Callable[..., Terminal], database: str
) -> None:
    empty = make_terminal(DATABASE_URL=database)
    assert "No number yet" in empty.flask("settings", "list").output
    empty.flask(
        *("settings", "set", "(202) 555-0100", "--carrier", "sandbox", "--description", "Desk"),
        *("--extension", "201", "--extension", "202", "--email", "a@example.com"),
    )
    document = empty.json("settings", "list")
    assert document == json.loads(empty.gateway.settings.document())
    [entry] = document["numbers"]
    assert (entry["number"], entry["extensions"]) == (NUMBER, ["201", "202"])


@pytest.mark.parametrize(
    ("options", "changed"),
    [
        (["--extension", "300"], {"extensions": ["300"]}),
        (["--extension", ""], {"extensions": []}),
        (["--no-extensions"], {"extensions": []}),
        (["--email", "b@example.com", "--email", "c@example.com"],
         {"emails": ["b@example.com", "c@example.com"]}),
        (["--no-emails"], {"emails": []}),
        (["--description", ""], {"description": ""}),
        (["--sender-id", "ACME"], {"sender_id": "ACME"}),
        (["--sender-id", ""], {"sender_id": None}),
        (["--disable"], {"enabled": False}),
        (["--carrier", "bandwidth"], {"carrier": "bandwidth"}),
        ([], {}),
    ],
)  # fmt: skip
def test_only_what_is_given_changes(
    make_terminal: Callable[..., Terminal], options: list[str], changed: dict[str, Any]
) -> None:
    before = {
        **NUMBER_ENTRY,
        "emails": ["a@example.com"],
        "sender_id": "Desk",
        "description": "Front desk",
        "enabled": True,
    }
    full = make_terminal(before)
    full.flask("settings", "set", "1-202-555-0100", *options)
    [after] = full.json("settings", "list")["numbers"]
    assert after == before | changed


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["nonsense", "--carrier", "sandbox"], 1, "number: “nonsense” is not a phone number"),
        ([NUMBER, "--carrier", "carrot"], 1, "carrier: Unknown carrier “carrot”. Use one of:"),
        ([NUMBER, "--extension", "2 01"], 1, "extensions[0]: An extension has"),
        ([NUMBER, "--email", "nobody"], 1, "emails[0]: it must be one e-mail address"),
        ([NUMBER, "--description", "x" * 201], 1, "description: "),
        (["+12025550199", "--extension", "201"], 2, "say which carrier"),
        ([NUMBER, "--no-emails", "--email", "a@example.com"], 2, "not both"),
        ([], 2, "NUMBER"),
    ],
)
def test_a_wrong_setting_is_refused_naming_what_is_wrong(
    terminal: Terminal, arguments: list[str], code: int, words: str
) -> None:
    before = terminal.gateway.settings.document()
    assert words in terminal.flask("settings", "set", *arguments, code=code).stderr
    assert terminal.gateway.settings.document() == before


def test_a_number_is_removed_once(terminal: Terminal) -> None:
    terminal.flask("settings", "remove", "202-555-0100")
    assert terminal.json("settings", "list")["numbers"] == []
    assert "not in Message Settings" in terminal.flask("settings", "remove", NUMBER, code=1).stderr


def test_what_is_still_missing_for_a_number_is_told(terminal: Terminal) -> None:
    told = terminal.flask(
        "settings", "set", NUMBER, "--carrier", "bandwidth", "--no-extensions"
    ).stderr
    assert "bandwidth is not configured" in told
    assert "Nobody gets" in told
    assert (
        "MAIL_HOST" in terminal.flask("settings", "set", NUMBER, "--email", "a@example.com").stderr
    )


def test_the_settings_can_be_edited_by_hand_on_each_database(
    make_terminal: Callable[..., Terminal], database: str, tmp_path: Path
) -> None:
    terminal = make_terminal(NUMBER_ENTRY, DATABASE_URL=database)
    file = tmp_path / "exported.json"
    terminal.flask("settings", "export", str(file))
    assert "exists" in terminal.flask("settings", "export", str(file), code=2).stderr
    document = json.loads(file.read_bytes())
    assert [entry["number"] for entry in document["numbers"]] == [NUMBER]
    document["numbers"].append(PUBLIC | {"number": "(202) 555-0101"})
    file.write_text(json.dumps(document))
    assert "2 numbers now" in terminal.flask("settings", "import", str(file)).output
    assert len(terminal.json("settings", "list")["numbers"]) == 2
    printed = terminal.flask("settings", "export", "-").stdout
    file.write_text(printed.replace('"carrier"', '"carier"', 1))
    told = terminal.flask("settings", "import", str(file), code=1).stderr
    assert "exported.json cannot be used: line 5" in told
    file.write_text("{\n ]")
    assert "line 2, column 2" in terminal.flask("settings", "import", str(file), code=1).stderr
    assert terminal.flask("settings", "export", "-").stdout == printed
    taken = terminal.app.test_cli_runner().invoke(
        args=["settings", "import", "-"], input=settings_file()
    )
    assert taken.exit_code == 0
    assert terminal.json("settings", "list")["numbers"] == []


def test_a_csv_file_is_exported_and_imported(
    make_terminal: Callable[..., Terminal], tmp_path: Path, database: str
) -> None:
    terminal = make_terminal(DATABASE_URL=database)
    terminal.flask("settings", "set", NUMBER, "--carrier", "sandbox", "--extension", "201")
    file = tmp_path / "numbers.csv"
    terminal.flask("settings", "export", "--csv", str(file))
    same = terminal.json("settings", "import", "--csv", "--dry-run", str(file))
    assert (same["unchanged"], same["imported"]) == (1, False)
    file.write_text("DID,Extension,Carrier,Color\n2025550100,202,,red\n2025550177,203,sandbox,\n")
    before = terminal.flask("settings", "export", "-").stdout
    told = terminal.flask("settings", "import", "--csv", "--dry-run", str(file))
    assert "Assigned Extension: 201 → 202" in told.stdout
    assert "1 added, 1 changed, 0 unchanged, 0 refused" in told.stdout
    assert "these columns: Color" in told.stderr
    assert terminal.flask("settings", "export", "-").stdout == before
    assert terminal.json("settings", "import", "--csv", str(file))["imported"] is True
    numbers = terminal.json("settings", "list")["numbers"]
    assert [entry["extensions"] for entry in numbers] == [["202"], ["203"]]
    assert "+12025550177" in terminal.flask("settings", "list", "--search", "203").stdout
    assert "No such number." in terminal.flask("settings", "list", "--search", "zzz").stdout


def test_a_csv_file_with_a_bad_line_changes_nothing(terminal: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "numbers.csv"
    file.write_text("number,carrier\n2025550177,sandbox\n2025550178,carrot\n")
    before = terminal.gateway.settings.document()
    for options in (("--dry-run",), ()):
        told = terminal.flask("settings", "import", "--csv", *options, str(file), code=1)
        assert re.search(
            r"3 +\+12025550178 +refused +Carrier: Unknown carrier “carrot”", told.stdout
        )
        assert "Nothing was imported" in told.stderr
    listed = terminal.json("settings", "import", "--csv", str(file), code=1)
    assert [line["outcome"] for line in listed["lines"]] == ["added", "refused"]
    file.write_text("color\nred\n")
    assert "No column" in terminal.flask("settings", "import", "--csv", str(file), code=1).stderr
    assert terminal.gateway.settings.document() == before


def test_a_document_is_only_checked_when_that_is_asked(terminal: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "new.json"
    file.write_text(settings_file())
    assert terminal.json("settings", "import", "--dry-run", str(file)) == {
        "dry_run": True,
        "numbers": 0,
    }
    assert len(terminal.json("settings", "list")["numbers"]) == 1


def test_several_numbers_change_or_go_at_once(terminal: Terminal) -> None:
    other = "+12025550177"
    terminal.flask("settings", "set", other, "--carrier", "sandbox")
    options = ("--carrier", "bandwidth", "--add-extension", "300", "--disable")
    changed = terminal.json("settings", "change", "202-555-0100", other, *options)["numbers"]
    assert [entry["extensions"] for entry in changed] == [["201", "300"], ["300"]]
    assert {(entry["carrier"], entry["enabled"]) for entry in changed} == {("bandwidth", False)}
    assert "Say what" in terminal.flask("settings", "change", NUMBER, code=2).stderr
    before = terminal.gateway.settings.document()
    terminal.flask("settings", "change", NUMBER, "+12025550199", "--enable", code=1)
    terminal.flask("settings", "remove", NUMBER, "+12025550199", code=1)
    assert terminal.gateway.settings.document() == before
    assert "2 numbers" in terminal.flask("settings", "remove", NUMBER, other).output
    assert terminal.json("settings", "list")["numbers"] == []


def test_broken_settings_are_exported_as_they_are_and_replaced_by_an_import(
    terminal: Terminal, tmp_path: Path
) -> None:
    (tmp_path / FILE).write_text('{"numbers": [')
    assert terminal.flask("settings", "export", "-").stdout == '{"numbers": ['
    (tmp_path / "good.json").write_text(settings_file(NUMBER_ENTRY))
    terminal.flask("settings", "import", str(tmp_path / "good.json"))
    terminal.flask("config", "check")
    assert terminal.json("settings", "list")["numbers"][0]["number"] == NUMBER


def test_a_file_that_is_not_read_any_more_is_told_of(
    make_terminal: Callable[..., Terminal], postgres_url: str, tmp_path: Path
) -> None:
    big = make_terminal(NUMBER_ENTRY, DATABASE_URL=postgres_url)
    (tmp_path / FILE).write_text("{")
    for words in (("settings", "list"), ("config", "check")):
        assert f"{tmp_path / FILE} is not read any more" in big.flask(*words).stderr
    assert big.json("settings", "list")["numbers"][0]["number"] == NUMBER
    (tmp_path / FILE).unlink()
    assert big.flask("settings", "list").stderr == ""
