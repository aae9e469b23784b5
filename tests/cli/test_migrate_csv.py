"""``flask migrate csv``: files as people and other systems make them."""

import warnings
from collections.abc import Callable
from getpass import GetPassWarning
from pathlib import Path
from typing import Any

import pytest

from services.core.messages import Status
from services.messaging import device_limits
from services.store import contacts
from services.store.database.schema import messages as messages_table
from tests.cli.conftest import DEVICE, Terminal
from tests.cli.test_migrate_fspbx import count, opted_out, stored
from tests.conftest import NUMBER, NUMBER_ENTRY, PEER

Make = Callable[..., Terminal]


def file(folder: Path, name: str, content: str | bytes) -> str:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def migrate(terminal: Terminal, *options: str, code: int = 0) -> Any:
    return terminal.json("migrate", "csv", *options, "--yes", code=code)


def test_usual_spellings_of_columns_are_understood(terminal: Terminal, tmp_path: Path) -> None:
    numbers = file(
        tmp_path,
        "n.csv",
        "DID;Provider;Ext;E-Mail;Label;Active;Extension name;Colour\r\n"
        "202-555-0101;Telnyx;201;a@example.com;Desk;t;Ann Example;red\r\n"
        "202-555-0102;VoIP.ms;\"202;203\";;;f;;\r\n"
        "\r\n"
        "202-555-0103;;204\r\n",
    )  # fmt: skip
    people = file(tmp_path, "c.csv", "First Name,Last name,Mobile\nAnn,Customer,303 555 0177\n")
    done = migrate(terminal, "--numbers", numbers, "--contacts", people)
    assert done["remarks"] == ["Nothing is read from these columns: Colour."]
    assert [(line["where"], line["outcome"]) for line in done["numbers"]] == [
        ("line 2", "added"), ("line 3", "added"), ("line 5", "for later")
    ]  # fmt: skip
    first, second = (
        terminal.gateway.settings.for_number(number) for number in ("+12025550101", "+12025550102")
    )
    assert first is not None
    assert second is not None
    assert (first.carrier, first.emails, first.enabled) == ("telnyx", ("a@example.com",), True)
    assert (second.carrier, second.extensions, second.enabled) == ("voipms", ("202", "203"), False)
    assert done["extensions"] == {"201": "Ann Example"}
    names = terminal.gateway.store.read(contacts.all_contacts)
    assert [(one.number, one.name) for one in names] == [(PEER, "Ann Customer")]


def test_messages_are_sorted_and_known_again(terminal: Terminal, tmp_path: Path) -> None:
    rows = file(
        tmp_path,
        "m.csv",
        b"Direction,From,To,Message,Date,Status,Sent by\n"
        b"outgoing,+12025550100,+13035550177,second,2026-01-02 03:04:06,delivered,201\n"
        b"incoming,+13035550177,+12025550100,first caf\xff,2026-01-02T03:04:05Z,,\n"
        b"incoming,+13035550177,+12025550100,twice,1767323047,,\n"
        b"incoming,+13035550177,+12025550100,twice,1767323047000,,\n"
        b"incoming,+13035550178,+12025550100,STOP,1767323048,,\n"
        b"incoming,+13035550178,+12025550100,start,1767323049,,\n"
        b"incoming,+13035550179,+12025550100,unstop,1767323040,,\n"
        b"incoming,+13035550179,+12025550100,stop all,1767323041,,\n"
        b"incoming,+13035550177,+12025550100,no date,yesterday,,\n"
        b"short\n",
    )
    done = migrate(terminal, "--messages", rows)
    assert done["done"]["messages"] == 8
    assert done["messages"]["left_out"] == {
        "It has no time, or one that cannot be.": 1,
        "It does not say whether it was received or sent.": 1,
    }
    found = stored(terminal)
    assert [one.text for one in found] == [
        "unstop", "stop all", "first caf\ufffd", "second", "twice", "twice", "STOP", "start"
    ]  # fmt: skip
    assert (found[3].status, found[3].extension) == (Status.DELIVERED, "201")
    assert opted_out(terminal) == [("+13035550179", NUMBER)]
    assert migrate(terminal, "--messages", rows)["done"]["messages"] == 0
    assert count(terminal, messages_table) == 8


def test_what_cannot_be_read_is_named(terminal: Terminal, tmp_path: Path) -> None:
    good = file(tmp_path, "n.csv", "number,carrier\n2025550101,telnyx\n")
    bad = file(tmp_path, "bad.csv", "colour\nred\n")
    told = terminal.flask("migrate", "csv", "--numbers", bad, "--yes", code=1)
    assert "no column is the number" in told.stderr
    assert "at least one" in terminal.flask("migrate", "csv", "--yes", code=2).stderr
    told = terminal.flask("migrate", "csv", "--numbers", good, "--json", code=2)
    assert "--dry-run or --yes" in told.stderr
    told = terminal.flask("migrate", "csv", "--numbers", good, "--carrier", "x=y", code=2)
    assert "THEIRS=OURS" in told.stderr
    told = terminal.flask("migrate", "csv", "--numbers", good, "--proof", "12", "--yes", code=1)
    assert "phone number" in told.stderr
    assert terminal.gateway.settings.for_number("+12025550101") is None


def test_history_older_than_what_is_kept_is_left_out(make_terminal: Make, tmp_path: Path) -> None:
    terminal = make_terminal(NUMBER_ENTRY, KEEP_MESSAGES_DAYS="30")
    rows = file(
        tmp_path, "m.csv", f"direction,number,peer,text,at\nin,{NUMBER},{PEER},old,2020-01-01\n"
    )
    done = migrate(terminal, "--messages", rows)
    assert done["messages"]["left_out"] == {"It is older than what is kept or asked for.": 1}
    assert stored(terminal) == []


def test_cells_that_spreadsheets_escape_are_read(terminal: Terminal, tmp_path: Path) -> None:
    numbers = file(tmp_path, "n.csv", "number,carrier,extension\n'+12025550101,telnyx,201\n")
    assert migrate(terminal, "--numbers", numbers)["done"]["numbers"] == 1


def test_a_stop_without_a_time_counts(terminal: Terminal, tmp_path: Path) -> None:
    rows = file(
        tmp_path,
        "m.csv",
        "direction,text,from,to,at,id\n"
        f"in,START,+13035550164,{NUMBER},2026-01-02T10:00:00Z,a1\n"
        f"in,STOP,+13035550164,{NUMBER},31/12/2025 10:00,a2\n"
        f"in,Stop.,+13035550165,{NUMBER},,a3\n"
        f"in,STOP,+13035550166,{NUMBER},2026-01-02T10:00:00Z,a4\n"
        f"in,START,+13035550166,{NUMBER},sometime,a5\n"
        f'out,STOP,{NUMBER},+13035550167,"Jan 5, 2026",a6\n',
    )
    done = migrate(terminal, "--messages", rows)
    assert done["messages"]["left_out"] == {
        "It has no time, or one that cannot be. Its STOP counts.": 2,
        "It has no time, or one that cannot be.": 2,
    }
    everybody = [(f"+1303555016{digit}", NUMBER) for digit in (4, 5, 6)]
    assert opted_out(terminal) == everybody
    assert migrate(terminal, "--messages", rows)["opt_outs"] == []
    terminal.flask("optouts", "remove", "+13035550165", "--reason", "They asked for texts again.")
    assert migrate(terminal, "--messages", rows)["opt_outs"] == []
    assert opted_out(terminal) == [everybody[0], everybody[2]]


def test_rows_with_the_same_id_refuse_nothing_else(terminal: Terminal, tmp_path: Path) -> None:
    rows = file(
        tmp_path,
        "m.csv",
        "direction,text,from,to,at,id\n"
        f"in,first,+13035550161,{NUMBER},2026-01-02T10:00:00Z,a1\n"
        f"in,second,+13035550162,{NUMBER},2026-01-02T10:00:00Z,a1\n"
        f"in,third,+13035550161,{NUMBER},2026-01-02T10:00:01Z,a1\n"
        f"in,first,+13035550161,{NUMBER},2026-01-02T10:00:00Z,a1\n",
    )
    done = migrate(terminal, "--messages", rows)
    assert (done["messages"]["new"], done["done"]["messages"]) == (3, 3)
    assert done["messages"]["left_out"] == {"A row before it has the same id and says the same.": 1}
    assert [one.text for one in stored(terminal)] == ["first", "second", "third"]
    assert migrate(terminal, "--messages", rows)["done"]["messages"] == 0


def test_what_was_deleted_in_an_app_does_not_come_back(
    make_terminal: Make, database: str, tmp_path: Path
) -> None:
    stored_in = {"DATABASE_URL": database} if database else {}
    terminal = make_terminal(NUMBER_ENTRY, ALLOW_DELETE="true", **stored_in)
    rows = file(
        tmp_path,
        "m.csv",
        "direction,text,from,to,at,status\n"
        f"in,in,{PEER},{NUMBER},2026-01-02T10:00:00Z,\n"
        f"out,out,{NUMBER},{PEER},2026-01-02T10:00:01Z,sent\n"
        f"in,stays,+13035550178,{NUMBER},2026-01-02T10:00:02Z,\n",
    )
    migrate(terminal, "--messages", rows)
    first, second, _ = stored(terminal)
    deleting = terminal.gateway.deleting
    deleting.delete_message(DEVICE, first.id)
    deleting.delete_conversation(DEVICE, second.conversation_id)
    again = migrate(terminal, "--messages", rows)
    assert (again["messages"]["new"], again["done"]["messages"]) == (0, 0)
    assert [one.text for one in stored(terminal)] == ["stays"]


def test_contacts_keep_their_notes(terminal: Terminal, tmp_path: Path) -> None:
    terminal.flask("contacts", "set", PEER, "Ann", "--note", "Pays in cash")
    people = file(
        tmp_path,
        "c.csv",
        f"number,name,note\n{PEER},Ann Customer,\n+13035550178,Bob,Rings twice\n201,Desk,\n"
        "+13035550179,,\n",
    )
    kept = migrate(terminal, "--contacts", people)
    assert [line["outcome"] for line in kept["contacts"]] == [
        "skipped", "added", "refused", "refused"
    ]  # fmt: skip
    migrate(terminal, "--contacts", people, "--replace")
    known = terminal.gateway.store.read(contacts.all_contacts)
    assert [(one.name, one.note) for one in known] == [
        ("Ann Customer", "Pays in cash"), ("Bob", "Rings twice")
    ]  # fmt: skip


def test_no_more_contacts_are_taken_than_apps_can_list(
    terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_limits, "MOST_CONTACTS", 2)
    rows = "".join(f"+1303555010{at},Person {at}\n" for at in range(4))
    people = file(tmp_path, "c.csv", f"number,name\n{rows}")
    done = migrate(terminal, "--contacts", people)
    assert done["done"]["contacts"] == 2
    assert "keeps 2 contacts at most" in done["contacts"][2]["reason"]


def test_contacts_without_a_column_of_names_are_refused(terminal: Terminal, tmp_path: Path) -> None:
    people = file(tmp_path, "c.csv", f"number,carrier\n{PEER},telnyx\n")
    told = terminal.flask("migrate", "csv", "--contacts", people, "--yes", code=1)
    assert "no column is the name" in told.stderr


LEFT_OUT = (
    "Phone Number,Carrier,Assigned Extension,Assigned Email,Extension Name\n"
    "+12025550144,thin q,202,not-an-address,Bob\n"
)


def test_rows_that_are_left_out_keep_their_names(terminal: Terminal, tmp_path: Path) -> None:
    numbers = file(tmp_path, "n.csv", LEFT_OUT)
    left = tmp_path / "left.csv"
    given = ("migrate", "csv", "--numbers", numbers, "--yes", "--left-out", str(left))
    shown = terminal.flask(*given)
    assert f"migrate csv --numbers {left} --carrier 'thin q=OURS'\n" in shown.stdout
    assert "Name one of yours for it: --carrier 'thin q=bandwidth'" in shown.stdout
    assert "\n+12025550144,thin q," in left.read_text(encoding="utf-8-sig")
    done = migrate(terminal, "--numbers", str(left), "--carrier", "thin q=telnyx")
    assert done["extensions"] == {"202": "Bob"}


def test_a_file_that_is_read_is_not_overwritten(terminal: Terminal, tmp_path: Path) -> None:
    numbers = file(tmp_path, "n.csv", LEFT_OUT)
    told = terminal.flask(
        "migrate", "csv", "--numbers", numbers, "--left-out", numbers, "--yes", code=2
    )
    assert "would be overwritten" in told.stderr
    assert Path(numbers).read_text(encoding="utf-8") == LEFT_OUT


@pytest.mark.parametrize("is_terminal", [False, True])
def test_reasons_are_not_cut(
    terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_terminal: bool
) -> None:
    monkeypatch.setenv("COLUMNS", "79")
    monkeypatch.setattr("blueprints.cli.terminal.is_terminal", lambda: is_terminal)
    numbers = file(tmp_path, "n.csv", LEFT_OUT)
    shown = terminal.flask("migrate", "csv", "--numbers", numbers, "--dry-run").stdout
    assert "…" not in shown
    assert "“not-an-address”: " in " ".join(shown.split())
    assert (max(map(len, shown.splitlines())) <= 79) == is_terminal


def test_without_a_terminal_the_variable_is_named(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prompt(*_: Any, **__: Any) -> str:
        warnings.warn("Can not control echo on the terminal.", GetPassWarning, stacklevel=2)
        return ""

    monkeypatch.setattr("click.prompt", prompt)
    told = terminal.flask("migrate", "fspbx", "--dry-run", code=2)
    assert "Set the variable MIGRATE_URL" in told.stderr


@pytest.mark.parametrize(
    ("rows", "stopped"),
    [(("STOP", "START"), True), (("START", "STOP"), True), (("yes", "STOP", "yes"), True)],
)
def test_of_stop_and_start_in_the_same_second_the_stop_counts(
    terminal: Terminal, tmp_path: Path, rows: tuple[str, ...], stopped: bool
) -> None:
    lines = [f"in,{word},{PEER},{NUMBER},1767323048" for word in rows]
    path = file(tmp_path, "m.csv", "\n".join(["direction,text,from,to,at", *lines]))
    terminal.flask("settings", "set", NUMBER, "--carrier", "sandbox", "--extension", "201")
    migrate(terminal, "--messages", path)
    assert bool(opted_out(terminal)) is stopped


def test_a_quotation_mark_that_nothing_closes_is_named(terminal: Terminal, tmp_path: Path) -> None:
    rows = "".join(f"+1202555{n:04},sandbox,201\n" for n in range(200, 300))
    broken = f'number,carrier,extensions\n+12025550101,sandbox,201\n"+12025550102,sandbox\n{rows}'
    path = file(tmp_path, "n.csv", broken)
    told = terminal.flask("migrate", "csv", "--numbers", path, "--yes", code=1).stderr
    assert f"{path}, line 3: a quotation mark opens a cell there and none closes it" in told
    closed = file(tmp_path, "m.csv", broken.replace("0102,", '0102",') + '+12025550103,"sandbox"')
    done = migrate(terminal, "--numbers", closed)
    assert done["done"]["numbers"] == 102 + 1
