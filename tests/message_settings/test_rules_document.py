"""Version 2 of Message Settings: what is refused and where, what is kept, version 1 as it was."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.core.errors import SettingsError
from services.message_settings import MessageSettings, SettingsFile
from services.message_settings.document import encode_document
from services.message_settings.fields import NumberSetting
from services.message_settings.reader import DocumentReader
from services.message_settings.rules import InboundText
from services.operations.settings_source import FILE, GOOD_COPY
from tests.conftest import NUMBER

OTHER = "+12025550160"
NUMBERS = [
    {"number": NUMBER, "carrier": "sandbox", "extensions": ["201"]},
    {"number": OTHER, "carrier": "sandbox", "extensions": ["202"]},
]
PARTS: dict[str, Any] = {
    "hours": {
        "office": {
            "timezone": "America/New_York",
            "mon-fri": ["08:00-12:00", "13:00-17:00"],
            "closed": ["2026-12-25"],
        }
    },
    "extensions": {"201": {"name": "Ann Example"}},
    "groups": {"sales": {"extensions": ["201", "202"], "assign": "round-robin"}},
    "inbound": [
        {
            "name": "Night",
            "to": [NUMBER],
            "from": ["+44*"],
            "keywords": ["PRICE"],
            "when": "outside office",
            "deliver": {"group": "sales", "extensions": [], "emails": ["night@example.com"]},
            "reply": "We open at 8.",
            "reply_once_hours": 12,
        }
    ],
    "outbound": [{"name": "UK", "extensions": ["201-220"], "to": ["+44*"], "from": [OTHER]}],
}


def reader() -> DocumentReader:
    return DocumentReader(["sandbox", "bandwidth"], "US")


def document(**changes: Any) -> dict[str, Any]:
    return {"version": 2, "numbers": NUMBERS, **PARTS, **changes}


def rule(**changes: Any) -> list[dict[str, Any]]:
    return [{**PARTS["inbound"][0], **changes}]


@pytest.fixture
def opened(tmp_path: Path) -> MessageSettings:
    return MessageSettings(
        SettingsFile(tmp_path / FILE), tmp_path / GOOD_COPY, ["sandbox", "bandwidth"], "US"
    )


@pytest.mark.parametrize("indent", [None, 2, 4])
def test_a_document_is_written_as_it_was_meant(indent: int | None) -> None:
    whole = json.dumps(document(), indent=indent).encode()
    read = reader().read(whole)
    again = encode_document(read.by_number.values(), read.sections)
    assert json.loads(again)["version"] == 2
    assert {name: json.loads(again)[name] for name in PARTS} == PARTS
    assert reader().read(again).sections == PARTS
    assert encode_document(reader().read(again).by_number.values(), PARTS) == again


@pytest.mark.parametrize("version", [{}, {"version": 1}, {"version": 2}])
def test_what_uses_nothing_new_is_written_as_version_1(version: dict[str, int]) -> None:
    read = reader().read(json.dumps({**version, "numbers": NUMBERS}).encode())
    written = encode_document(read.by_number.values(), read.sections)
    assert written == encode_document(read.by_number.values())
    assert written.startswith(b'{\n  "version": 1,')
    assert b"aliases" not in written


def test_empty_parts_are_left_out() -> None:
    empty = {"hours": {}, "groups": {}, "extensions": {}, "inbound": [], "outbound": []}
    read = reader().read(json.dumps({"version": 2, "numbers": NUMBERS, **empty}).encode())
    assert encode_document(read.by_number.values(), read.sections).startswith(b'{\n  "version": 1,')


def test_a_document_of_version_1_keeps_its_bytes(opened: MessageSettings, tmp_path: Path) -> None:
    entries = [NumberSetting(f"+1202555{n:04}", "sandbox", ("201",)) for n in range(100, 160)]
    before = encode_document(entries)
    (tmp_path / FILE).write_bytes(before)
    opened.put({"number": NUMBER, "carrier": "sandbox", "extensions": ["202"]})
    opened.put({"number": NUMBER, "carrier": "sandbox", "extensions": ["201"]})
    assert (tmp_path / FILE).read_bytes() == before


WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "group": (
        document(inbound=rule(deliver={"group": "sails"})),
        "inbound[0].deliver.group",
        "No group is named “sails”. Write one of sales, or add it to “groups”: on the page ",
    ),
    "hours": (
        document(inbound=rule(when="outside offce")),
        "inbound[0].when",
        "No hours are named “offce”. Write one of office, or add it to “hours”: on the page ",
    ),
    "number": (
        document(inbound=rule(to=[NUMBER, "+12025550199"])),
        "inbound[0].to[1]",
        "names +12025550199, which is not in Message Settings. Add the number",
    ),
    "no number": (document(inbound=rule(to=["12"])), "inbound[0].to[0]", "phone number"),
    "local number": (
        document(inbound=rule(**{"from": ["+44*", "555-0143"]})),
        "inbound[0].from[1]",
        "“555-0143” is only a local number: its area code is missing.",
    ),
    "local recipient": (
        document(outbound=[{"name": "UK", "from": [OTHER], "to": ["5550143"]}]),
        "outbound[0].to[0]",
        "Write it with its country code, such as +12025550143.",
    ),
    "outbound number": (
        document(outbound=[{"name": "UK", "from": ["+442071838750"]}]),
        "outbound[0].from[0]",
        "not in Message Settings",
    ),
    "same name": (document(inbound=rule() * 2), "inbound[1].name", "Two rules are named “Night”"),
    "nobody": (document(inbound=rule(deliver={})), "inbound[0].deliver", "It names nobody."),
    "misspelt": (
        document(inbound=rule(keyword=["PRICE"])),
        "inbound[0].keyword",
        "There is no such field",
    ),
    "span": (
        document(hours={"office": {"mon": ["08:00-12:00", "1-5"]}}),
        "hours.office.mon[1]",
        "Write it such as 08:00-12:00.",
    ),
    "day": (
        document(hours={"office": {"monday": ["08:00-12:00"]}}),
        "hours.office.monday",
        "names no days",
    ),
    "two days": (
        document(hours={"office": {"mon-fri": ["08:00-12:00"], "fri": ["08:00-10:00"]}}),
        "hours.office",
        "fri stands there twice",
    ),
    "date": (
        document(hours={"office": {"closed": ["2026-02-30"]}}),
        "hours.office.closed[0]",
        "Write it such as 2026-12-25.",
    ),
    "zone": (
        document(hours={"office": {"timezone": "New York"}}),
        "hours.office.timezone",
        "no time zone",
    ),
    "alias": (
        document(numbers=[NUMBERS[0] | {"aliases": ["x"]}, NUMBERS[1] | {"aliases": ["x"]}]),
        "numbers[1].aliases[0]",
        "“x” names two numbers",
    ),
    "version": (
        document(version=1),
        "hours",
        'Write "version": 2 at the top',
    ),
    "alias in version 1": (
        {"version": 1, "numbers": [NUMBERS[0], NUMBERS[1] | {"aliases": ["x"]}]},
        "numbers[1].aliases",
        'Write "version": 2 at the top',
    ),
}


@pytest.mark.parametrize("indent", [2, 3])
@pytest.mark.parametrize(("wrong", "path", "reason"), WRONG.values(), ids=WRONG)
def test_a_mistake_is_told_with_its_line_its_place_and_the_remedy(
    wrong: dict[str, Any], path: str, reason: str, indent: int
) -> None:
    written = json.dumps(wrong, indent=indent)
    with pytest.raises(SettingsError) as caught:
        reader().read(written.encode())
    said = str(caught.value)
    line, _, rest = said.removeprefix("line ").partition(": ")
    assert rest.startswith(f"{path}: "), said
    assert reason in rest
    last = path.rpartition(".")[2]
    key, _, position = last.partition("[")
    lines = written.splitlines()
    where = int(line) - 1
    if position and key in ("to", "from", "mon", "closed", "aliases"):
        where -= int(position.rstrip("]")) + 1
    assert f'"{key}"' in lines[where] or lines[where].strip() == "{", said


def test_a_wrong_rule_leaves_the_last_good_ones_in_force(
    opened: MessageSettings, tmp_path: Path
) -> None:
    (tmp_path / FILE).write_text(json.dumps(document(), indent=2))
    opened.look()
    before = opened.rules
    (tmp_path / FILE).write_text(json.dumps(WRONG["group"][0], indent=2))
    opened.look()
    assert opened.rules is before
    assert "inbound[0].deliver.group" in (opened.problem or "")


def test_rules_are_compiled_again_only_if_they_change(
    opened: MessageSettings, tmp_path: Path
) -> None:
    opened.put_document(json.dumps(document()).encode())
    before = opened.rules
    opened.put({"number": "+12025550170", "carrier": "sandbox", "extensions": ["203"]})
    assert opened.rules is before
    opened.put_document(json.dumps(document(inbound=rule(reply="Later.")), indent=2).encode())
    assert opened.rules.inbound[0].reply == "Later."


@pytest.mark.parametrize("rules", [{}, {"inbound": []}])
def test_rules_that_are_taken_out_are_gone(opened: MessageSettings, rules: dict[str, Any]) -> None:
    opened.put_document(json.dumps(document()).encode())
    opened.put_document(json.dumps({"version": 2, "numbers": NUMBERS, **rules}).encode())
    assert not opened.rules.inbound
    opened.put_document(json.dumps({"version": 1, "numbers": NUMBERS}, indent=2).encode())
    assert not opened.rules.groups


def test_rules_of_another_layout_are_not_taken_for_those_of_a_later_document(
    opened: MessageSettings, tmp_path: Path
) -> None:
    (tmp_path / FILE).write_text(json.dumps(document()))
    opened.look()
    (tmp_path / FILE).write_bytes(encode_document([NumberSetting(NUMBER, "sandbox", ("201",))]))
    opened.look()
    assert opened.problem is None
    assert not opened.rules.inbound


def test_a_number_that_a_rule_names_is_not_removed(opened: MessageSettings) -> None:
    opened.put_document(json.dumps(document()).encode())
    with pytest.raises(SettingsError, match="The rule “Night” names"):
        opened.remove(NUMBER)
    assert opened.for_number(NUMBER) is not None


def test_an_alias_finds_the_number(opened: MessageSettings) -> None:
    opened.put({"number": NUMBER, "carrier": "sandbox", "aliases": ["rcs-agent"]})
    found = opened.for_alias("rcs-agent")
    assert found is not None
    assert found.number == NUMBER
    assert opened.document().startswith(b'{\n  "version": 2,')


# Documents of any content

WORDS = st.sampled_from(["office", "sales", "PRICE", "+44*", "?", "*", NUMBER, "", "x y", "é", "1"])
LISTS = st.lists(WORDS | st.integers(0, 999), max_size=3)
RULES = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from(["A", "B", "C", "D"])},
        optional={
            "to": LISTS,
            "from": LISTS,
            "keywords": LISTS,
            "extensions": LISTS,
            "when": st.builds("{} {}".format, st.sampled_from(["inside", "holiday", "at"]), WORDS),
            "deliver": st.dictionaries(
                st.sampled_from(["group", "extensions", "emails"]), WORDS | LISTS, max_size=3
            ),
            "reply": WORDS,
            "reply_once_hours": st.floats() | st.integers(),
            "continue": st.booleans(),
        },
    )
    | st.none(),
    max_size=4,
)
GOOD_RULES = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "to": st.lists(st.sampled_from([NUMBER, OTHER]), max_size=2),
            "from": st.lists(
                st.sampled_from(["+44*", "*", "72404", "AMAZ?N", "+447*"]), max_size=2
            ),
            "keywords": st.lists(st.sampled_from(["PRICE", "price list", "hi"]), max_size=2),
            "when": st.sampled_from(["inside office", "outside office", "holiday office"]),
            "deliver": st.sampled_from([{"group": "sales"}, {"extensions": ["9"]}]),
            "continue": st.booleans(),
        },
    ),
    max_size=6,
).map(lambda rules: [{"name": str(n), **rule} for n, rule in enumerate(rules)])
GOOD = st.fixed_dictionaries(
    {
        "hours": st.just({"office": {"mon-fri": ["08:00-17:00"], "closed": ["2026-12-25"]}}),
        "groups": st.just({"sales": {"extensions": ["1"]}}),
        "inbound": GOOD_RULES,
    }
)
DAYS = st.sampled_from(["mon", "tue-sat", "sat-mon", "closed", "timezone", "daily", "sun"])
SPANS = st.lists(st.sampled_from(["08:00-12:00", "22:00-06:00", "24:00-25:00", "2026-12-25"]))
HOURS = st.dictionaries(
    st.just("office") | WORDS, st.dictionaries(DAYS, SPANS | st.just("UTC")), max_size=2
)
GROUPS = st.dictionaries(
    st.just("sales") | WORDS,
    st.fixed_dictionaries({"extensions": LISTS}, optional={"assign": WORDS}),
    max_size=2,
)
TEXTS = st.builds(
    InboundText,
    st.sampled_from([NUMBER, OTHER, "+12025550199"]),
    st.sampled_from(["+447700900123", "72404", "whatsapp:+447700900123", "AMAZON", "é*?", ""]),
    st.text(max_size=20) | st.sampled_from(["price", "Price list?", "\u0130"]),
    st.floats(0, 4e9),
)


@settings(max_examples=300, deadline=None)
@given(GOOD | st.fixed_dictionaries({"hours": HOURS, "groups": GROUPS, "inbound": RULES,
                              "outbound": RULES}), TEXTS)  # fmt: skip
def test_rules_of_any_document_are_refused_or_decide(
    parts: dict[str, Any], text: InboundText
) -> None:
    content = json.dumps({"version": 2, "numbers": NUMBERS, **parts}, indent=2).encode()
    try:
        read = reader().read(content)
    except SettingsError:
        return
    setting = read.by_number.get(text.number)
    decision = read.rules.decide(setting, text)
    expected = [one for one in read.rules.inbound if not read.rules.mismatch(one, text)]
    until = next((n for n, one in enumerate(expected, 1) if not one.continues), len(expected))
    assert list(decision.rules) == (expected[:until] if setting is not None else [])
    for one in read.rules.outbound:
        one.mismatch("201", [text.peer])
