"""``flask rules``: which rule decides and why not the ones above."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from services.gateway import Gateway
from services.store import blocked_senders
from tests.cli.conftest import Terminal
from tests.conftest import NUMBER, NUMBER_ENTRY, PEER
from tests.core.test_calendar_file import event
from tests.message_steps import receive_text, stored_messages

PRACTICE = Path(__file__).parents[1] / "data" / "rules" / "practice.json"


@pytest.fixture
def practice(make_gateway: Callable[..., Gateway]) -> Terminal:
    terminal = Terminal(make_gateway(APP_TIMEZONE="America/New_York", SEND_COUNTRIES="*"))
    terminal.gateway.settings.put_document(PRACTICE.read_bytes())
    return terminal


FROM = ("--from", "+13035550177", "--to", "202-555-0143")


def test_the_rule_is_named_and_why_the_ones_above_do_not_match(practice: Terminal) -> None:
    told = practice.flask("rules", "test", *FROM, "--text", "hello", "--at", "2026-11-30 22:00")
    assert told.stdout == (
        "-- Robot: The sender is not +1900*.\n"
        "-- Copy: The sender is not +4420* or +4930*.\n"
        "-- Holiday: It is no closed date of office.\n"
        "-- Price: The text does not begin with price or price list or cout.\n"
        "-- Boss: The sender is not +13035550111 or 72404 or amazon* or +13035551?00.\n"
        "-> Night: Matches.\n"
        "\n"
        "Text:          from +13035550177 to +12025550143, 2026-11-30 22:00 America/New_York\n"
        "Decided by:    Night\n"
        "Extensions:    209\n"
        "Groups:        crew (all)\n"
        "E-mails:       night@example.com\n"
        "Reply:         We open at 8.\n"
    )
    assert stored_messages(practice.gateway) == []


@pytest.mark.parametrize("waits", [True, False])
def test_an_answer_that_would_wait_says_until_when(
    make_gateway: Callable[..., Gateway], waits: bool
) -> None:
    env = {"APP_TIMEZONE": "America/New_York", "SCHEDULED_US_HOURS": "true"}
    gateway = make_gateway(**env, SCHEDULED_ANSWERS_WAIT=str(waits).lower())
    gateway.settings.put_document(PRACTICE.read_bytes())
    terminal = Terminal(gateway)
    asked = ("rules", "test", *FROM, "--text", "hello", "--at", "2026-11-30 23:30")
    why = "Quiet hours in Colorado until 08:00 (America/Denver)."
    told = terminal.json(*asked)
    assert told["reply_waits_because"] == (why if waits else None)
    assert (told["reply_send_at"] is not None) == waits
    if waits:
        assert datetime.fromisoformat(told["reply_send_at"]) == datetime(
            2026, 12, 1, 15, tzinfo=UTC
        )
    said = f"Reply waits:   until 2026-12-01 10:00:00 EST. {why}"
    assert (said in terminal.flask(*asked).stdout) == waits


@pytest.mark.parametrize(
    ("arguments", "decided", "remark", "why_no_reply"),
    [
        ((*FROM, "--at", "2026-11-30 09:00"), [], "No rule matches: the number's own", None),
        ((*FROM, "--at", "2026-11-30T14:00+00:00"), [], "No rule matches", None),
        ((*FROM, "--at", "2026-12-25 09:00"), ["Holiday"], "own extensions", None),
        (("--from", "72405", *FROM[2:], "--at", "2026-11-30 22:00"), ["Night"], None,
         "The sender is a short code or a name."),
        ((*FROM, "--text", "Info", "--at", "2026-11-30 22:00"), ["Night"], None,
         "It is STOP, START, HELP or a word like them."),
        (("--from", "303-555-0177", "--to", "+12025550199"), [], "not in Message Settings", None),
        (("--from", "303-555-0177", "--to", "+12025550170"), [], "switched off", None),
        (("--from", "303-555-0177", "--to", "+12025550160"), [], "it is unassigned", None),
        (("--from", "303-555-0177", "--to", "rcs-agent-7", "--at", "2026-11-30 16:00"),
         ["Berlin"], None, None),
    ],
)  # fmt: skip
def test_what_a_script_reads(
    practice: Terminal,
    arguments: tuple[str, ...],
    decided: list[str],
    remark: str | None,
    why_no_reply: str | None,
) -> None:
    told = practice.json("rules", "test", *arguments)
    assert told["decided_by"] == decided
    assert (remark or "") in (told["remark"] or "")
    assert (remark is None) == (told["remark"] is None)
    assert told["why_no_reply"] == why_no_reply


HELLO = {"name": "Hello", "reply": "We call you.", "reply_once_hours": 2}


def answers(terminal: Terminal) -> list[str]:
    return [one.text for one in stored_messages(terminal.gateway) if one.direction == "out"]


@pytest.mark.parametrize(
    ("before", "peer", "text", "why_not"),
    [
        ([], PEER, "hello", None),
        (["hello"], PEER, "hello",
         "The rule has answered this sender within 2 hours (reply_once_hours)."),
        (["STOP"], PEER, "hello", "has opted out of texts from"),
        (["STOP"], PEER, "yes", None),
        ([], "+442071838750", "hello", "is in another country (GB)"),
        (["block"], PEER, "hello", "The sender is blocked."),
    ],
)  # fmt: skip
def test_the_trial_says_of_the_answer_what_then_happens(
    terminal: Terminal, before: list[str], peer: str, text: str, why_not: str | None
) -> None:
    gateway = terminal.gateway
    document = {"version": 2, "numbers": [NUMBER_ENTRY], "inbound": [HELLO]}
    gateway.settings.put_document(json.dumps(document).encode())
    for step in before:
        if step == "block":
            gateway.store.write(lambda tx: blocked_senders.add(tx, PEER, NUMBER, "201"))
        else:
            receive_text(gateway, step)
    tried = ("rules", "test", "--to", NUMBER, "--from", peer, "--text", text)
    told = terminal.json(*tried)
    assert (told["why_no_reply"] is None) == (why_not is None)
    assert (why_not or "") in (told["why_no_reply"] or "")
    assert told["extensions"] == ([] if before == ["block"] else ["201"])
    assert ("No reply:" in terminal.flask(*tried).stdout) == (why_not is not None)
    known = len(answers(terminal))
    receive_text(gateway, text, peer=peer)
    assert len(answers(terminal)) - known == (why_not is None)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((*FROM, "--at", "tomorrow"), "at: “tomorrow” is no time. Write it such as"),
        (("--from", "303-555-0177", "--to", "12"), "to: "),
    ],
)
def test_what_cannot_be_tried(
    practice: Terminal, arguments: tuple[str, ...], complaint: str
) -> None:
    assert complaint in practice.flask("rules", "test", *arguments, code=1).stderr


@pytest.mark.parametrize("at", ["0001-01-01", "1969-12-31", "2201-01-01", "9999-12-31T23:59-14:00"])
def test_a_time_of_no_usual_year_cannot_be_tried(practice: Terminal, at: str) -> None:
    told = practice.flask("rules", "test", *FROM, "--at", at, code=1).stderr
    assert f"at: “{at}” is no time." in told


def test_a_word_of_the_opt_out_as_a_keyword_is_a_warning(practice: Terminal) -> None:
    document = json.loads(PRACTICE.read_bytes())
    document["inbound"] = [{"name": "Leave", "keywords": ["Stop", "price"], "reply": "No."}]
    practice.gateway.settings.put_document(json.dumps(document).encode())
    told = practice.flask("rules", "list").stderr
    assert "The rule “Leave” never answers a text that is only stop:" in told


def test_a_rule_that_never_decides_is_a_warning_wherever_rules_are_told(
    terminal: Terminal, tmp_path: Path
) -> None:
    file = tmp_path / "rules.json"
    rules = [{"name": "All", "to": [NUMBER]}, {"name": "Late", "to": [NUMBER], "keywords": ["a"]}]
    file.write_text(json.dumps({"version": 2, "numbers": [NUMBER_ENTRY], "inbound": rules}))
    warning = "The rule “Late” never decides: “All” above it matches all texts that it matches."
    commands: list[tuple[str, ...]] = [
        ("settings", "import", str(file)),
        ("rules", "list"),
        ("rules", "test", "--from", PEER, "--to", NUMBER),
    ]
    for command in commands:
        assert warning in terminal.flask(*command).stderr
        assert [one for one in terminal.json(*command)["warnings"] if warning in one]
    assert f"Warning: {warning}" in terminal.flask("config", "check").stdout
    rules[0] |= {"continue": True}
    file.write_text(json.dumps({"version": 2, "numbers": [NUMBER_ENTRY], "inbound": rules}))
    assert terminal.json(*commands[0])["warnings"] == []


def test_the_rules_are_listed_with_what_nobody_knows(practice: Terminal) -> None:
    told = practice.flask("rules", "list")
    lines = told.stdout.splitlines()
    assert lines[0].split()[:3] == ["RULE", "TO", "FROM"]
    assert [line.split()[0] for line in lines[1:5]] == ["Robot", "Copy", "Holiday", "Price"]
    assert "Extension 209 has no number, group or device." in told.stderr
    assert "Extension 201" not in told.stderr
    practice.flask("extensions", "name", "209", "Nina Example")
    told = practice.flask("rules", "list")
    assert "Extension Nina Example (209) has no number, group or device." in told.stderr
    as_json = practice.json("rules", "list")
    assert as_json["inbound"] == json.loads(PRACTICE.read_bytes())["inbound"]


def test_an_extension_that_only_a_group_has_is_known(practice: Terminal) -> None:
    document = json.loads(PRACTICE.read_bytes())
    document["groups"]["crew"]["extensions"].append("377")
    practice.gateway.settings.put_document(json.dumps(document).encode())
    told = practice.flask("rules", "list")
    assert "Extension 209 has no number, group or device." in told.stderr
    assert "377" not in told.stderr


def test_a_message_names_its_rule(practice: Terminal) -> None:
    receive_text(practice.gateway, number="+12025550143", peer="+19005550177")
    (message,) = stored_messages(practice.gateway)
    shown = practice.flask("messages", "show", message.id).stdout
    assert "Rule:          Robot\n" in shown
    assert "Given to its recipients by the rule “Robot”" in shown
    assert practice.json("messages", "show", message.id)["rule"] == "Robot"


def test_an_export_for_older_versions_says_what_it_leaves_out(practice: Terminal) -> None:
    told = practice.flask("settings", "export", "--version", "1", "-")
    written = json.loads(told.stdout)
    assert sorted(written) == ["numbers", "version"]
    assert written["version"] == 1
    assert [entry["number"] for entry in written["numbers"]] == [
        entry["number"] for entry in json.loads(PRACTICE.read_bytes())["numbers"]
    ]
    assert "aliases" not in told.stdout
    assert "Left out, as version 1 does not have it: hours, groups, inbound, aliases." in (
        told.stderr
    )


def test_holidays_of_a_calendar_become_closed_dates(practice: Terminal, tmp_path: Path) -> None:
    settings = practice.gateway.settings
    year = datetime.now(UTC).year + 1
    file = tmp_path / "holidays.ics"
    file.write_bytes(
        event(f"DTSTART:{year}0704", "RRULE:FREQ=YEARLY").replace(
            b"END:VCALENDAR", b"BEGIN:VEVENT\nSUMMARY:Lunch\nEND:VEVENT\nEND:VCALENDAR"
        )
    )
    before = settings.rules.hours["office"].closed
    arguments = ("settings", "import-holidays", str(file), "office")
    told = practice.json(*arguments, "--dry-run")
    days = {f"{year}-07-04": "Day off", f"{year + 1}-07-04": "Day off"}
    assert told == {
        "dry_run": True,
        "hours": "office",
        "closed": days,
        "new": list(days),
        "left_out": ["“Lunch” (no date): it has no DTSTART."],
    }
    assert settings.rules.hours["office"].closed == before
    done = practice.flask(*arguments)
    assert "2 dates were added to the hours “office”." in done.stdout
    assert "Left out: “Lunch”" in done.stderr
    added = {date(year, 7, 4), date(year + 1, 7, 4)}
    assert settings.rules.hours["office"].closed == before | added
    assert "0 dates were added" in practice.flask(*arguments).stdout
    practice.flask(*arguments, "--replace", "--years", "2")
    assert settings.rules.hours["office"].closed == {date(year, 7, 4)}
    assert settings.rules.hours["berlin"].closed == frozenset()
    assert len(settings.all()) == 4


def test_a_calendar_that_cannot_be_used(practice: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "a.ics"
    file.write_bytes(b"no calendar")
    told = practice.flask("settings", "import-holidays", str(file), "office", code=1)
    assert f"{file} cannot be used: It is no calendar file (.ics)" in told.stderr
    told = practice.flask("settings", "import-holidays", str(file), "shop", code=1)
    assert "This cannot be used: No hours are named “shop”. Write one of office" in told.stderr
