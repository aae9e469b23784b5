"""Message templates: what is refused and where, what is kept, how fields are filled in."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.core.errors import SettingsConflict, SettingsError
from services.message_settings import MessageSettings, SettingsFile
from services.message_settings.document import encode_document
from services.message_settings.reader import DocumentReader
from services.message_settings.rules_reader import RuleError
from services.message_settings.templates import FIELDS, Template, offered_to, read_templates
from services.operations.settings_source import FILE, GOOD_COPY
from tests.conftest import NUMBER

NUMBERS = [{"number": NUMBER, "carrier": "sandbox", "extensions": ["201"]}]
HOURS = {"name": "Opening hours", "text": "Hello {contact}, we open at 8.", "extensions": ["2??"]}
BRACES = {"name": "Braces", "text": "{{not a field}}"}


def read(**parts: Any) -> Any:
    document = {"version": 2, "numbers": NUMBERS, **parts}
    return DocumentReader(["sandbox"], "US").read(json.dumps(document, indent=2).encode())


@pytest.fixture
def opened(tmp_path: Path) -> MessageSettings:
    return MessageSettings(SettingsFile(tmp_path / FILE), tmp_path / GOOD_COPY, ["sandbox"], "US")


def test_they_are_written_as_they_were_read_with_version_2() -> None:
    found = read(templates=[HOURS, BRACES])
    written = encode_document(found.by_number.values(), found.sections)
    assert json.loads(written) == {
        "version": 2,
        "numbers": [NUMBERS[0] | {"emails": [], "sender_id": None, "description": ""}
                    | {"enabled": True}],
        "templates": [HOURS, BRACES],
    }  # fmt: skip
    assert encode_document(found.by_number.values(), {"templates": []}).startswith(
        b'{\n  "version": 1,'
    )


@pytest.mark.parametrize(
    ("templates", "path", "reason"),
    [
        (
            [HOURS, {"name": "A", "text": "{foo}"}],
            "templates[1].text",
            "There is no field “{foo}”. Write one of {contact}, {extension}, {number}. A brace "
            "that stands for itself is written twice: {{ or }}.",
        ),
        ([{"name": "A", "text": "{Contact}"}], "templates[0].text", "no field “{Contact}”"),
        ([{"name": "A", "text": "{ contact }"}], "templates[0].text", "no field “{ contact }”"),
        ([{"name": "A", "text": "{}"}], "templates[0].text", "no field “{}”"),
        ([{"name": "A", "text": "a { b"}], "templates[0].text", "A single “{”"),
        ([{"name": "A", "text": "{{contact}"}], "templates[0].text", "A single “}”"),
        ([HOURS, HOURS], "templates[1].name", "Two templates are named “Opening hours”."),
        ([{"name": "", "text": "x"}], "templates[0].name", "A name has up to 80 characters"),
        ([{"name": "A"}], "templates[0].text", "It is missing"),
        ([{"name": "A", "text": ""}], "templates[0].text", "A text has 1 to 1600"),
        ([{"name": "A", "text": "x" * 1601}], "templates[0].text", "A text has 1 to 1600"),
        ([HOURS | {"extension": "201"}], "templates[0].extension", "There is no such field"),
        (
            [HOURS | {"extensions": ["2 0"]}],
            "templates[0].extensions[0]",
            "Write an extension such as 201",
        ),
        ([{"name": f"{n}", "text": "x"} for n in range(201)], "templates", "at most 200 items"),
    ],
)
def test_a_mistake_is_told_with_its_line_its_place_and_the_remedy(
    templates: list[Any], path: str, reason: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        read(templates=templates)
    line, _, rest = str(caught.value).removeprefix("line ").partition(": ")
    assert rest.startswith(f"{path}: "), rest
    assert reason in rest
    assert int(line) > 1


def test_200_of_the_longest_are_read() -> None:
    templates = [{"name": f"{n:080}", "text": "x" * 1600} for n in range(200)]
    assert read(templates=templates).sections == {"templates": templates}


def test_version_1_has_none() -> None:
    with pytest.raises(SettingsError, match=r"templates: Write .version.: 2 at the top"):
        read(version=1, templates=[HOURS])


def test_rules_and_templates_are_replaced_apart_from_each_other(opened: MessageSettings) -> None:
    opened.put(dict(NUMBERS[0]))
    inbound = [{"name": "Hello", "reply": "Hi"}]
    opened.put_templates([HOURS])
    opened.put_sections({"inbound": inbound})
    assert opened.sections == {"inbound": inbound, "templates": [HOURS]}
    assert [one.name for one in opened.templates] == ["Opening hours"]
    seen = opened.generation
    opened.put_templates([BRACES], seen)
    assert [rule.name for rule in opened.rules.inbound] == ["Hello"]
    with pytest.raises(SettingsConflict):
        opened.put_templates([], seen)
    with pytest.raises(RuleError, match="templates: Write only hours, extensions, groups"):
        opened.put_sections({"templates": []})
    opened.put_sections({})
    opened.put_templates([])
    assert opened.document().startswith(b'{\n  "version": 1,')
    assert opened.templates == ()


def test_who_is_offered_which() -> None:
    templates = read_templates(
        [HOURS, BRACES, {"name": "Range", "text": "x", "extensions": ["201-203", "300"]}]
    )
    for extension, names in (
        ("201", ["Opening hours", "Braces", "Range"]),
        ("300", ["Braces", "Range"]),
        ("204", ["Opening hours", "Braces"]),
        ("2011", ["Braces"]),
    ):
        assert [one.name for one in offered_to(templates, extension)] == names


@pytest.mark.parametrize(
    ("text", "with_name", "without"),
    [
        ("Hello {contact}, we", "Hello Ann, we", "Hello, we"),
        ("Hello {contact}.", "Hello Ann.", "Hello."),
        ("Hello {contact} and welcome", "Hello Ann and welcome", "Hello and welcome"),
        ("Thanks, {contact}!", "Thanks, Ann!", "Thanks!"),
        ("Thanks, {contact}", "Thanks, Ann", "Thanks"),
        ("Thanks, {contact}, bye", "Thanks, Ann, bye", "Thanks, bye"),
        ("{contact}, we are open", "Ann, we are open", "we are open"),
        ("Hello {contact},\nwe", "Hello Ann,\nwe", "Hello,\nwe"),
        ("Hello {contact}\nwe", "Hello Ann\nwe", "Hello\nwe"),
        ("Hello\n{contact}, we", "Hello\nAnn, we", "Hello\nwe"),
        ("Bonjour {contact} !", "Bonjour Ann !", "Bonjour !"),
        ("{contact}{contact}", "AnnAnn", ""),
        ("For {contact} {contact} only", "For Ann Ann only", "For only"),
        ("{{{contact}}}", "{Ann}", "{}"),
        ("{{contact}}", "{contact}", "{contact}"),
        ("{extension}: {number}", "Bob: (202) 555-0100", "Bob: (202) 555-0100"),
    ],
)
def test_fields_are_filled_in_and_nothing_hangs_around_an_empty_one(
    text: str, with_name: str, without: str
) -> None:
    (template,) = read_templates([{"name": "A", "text": text}])
    values = {"extension": "Bob", "number": "(202) 555-0100"}
    assert template.filled(values | {"contact": "Ann"}) == with_name
    assert template.filled(values | {"contact": ""}) == without


def test_a_name_with_braces_is_no_field() -> None:
    values = {"contact": "{number}", "extension": "{{", "number": "1"}
    assert Template("A", "{contact} {extension}").filled(values) == "{number} {{"


@given(st.lists(st.sampled_from(["{", "}", "{{", "}}", *(f"{{{name}}}" for name in FIELDS),
                                 "a", " ", ",", "\n"]), max_size=12).map("".join))  # fmt: skip
def test_any_text_is_refused_or_filled_in(text: str) -> None:
    try:
        (template,) = read_templates([{"name": "A", "text": text}])
    except RuleError:
        return
    full = template.filled({"contact": "1", "extension": "2", "number": "3"})
    literal = text.replace("{{", "\0").replace("}}", "\1")
    for value, name in enumerate(FIELDS, 1):
        literal = literal.replace(f"{{{name}}}", str(value))
    if "{{{" not in text and "}}}" not in text:
        assert full == literal.replace("\0", "{").replace("\1", "}")
    empty = template.filled(dict.fromkeys(FIELDS, ""))
    assert set(empty) <= set(full) | {"{", "}"}
