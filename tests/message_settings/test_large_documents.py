"""Large documents: only what changed is checked, in slices, and nobody waits for it."""

import json
import threading
from collections.abc import Callable
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from marshmallow import ValidationError

import services.message_settings.slices
from services.core.errors import SettingsConflict, SettingsError
from services.core.messages import clean
from services.core.phone_numbers import e164
from services.message_settings import MessageSettings, MessageSettingsSchema, SettingsFile
from services.message_settings.document import NO_DOCUMENT, encode_document
from services.message_settings.fields import NumberSetting
from services.message_settings.plain_entry import PlainEntries
from services.message_settings.reader import DocumentReader
from services.message_settings.schema import ENTRY, first_problem, line_of
from services.message_settings.slices import SLICE
from services.operations.settings_source import FILE, GOOD_COPY
from tests.waiting import PATIENCE, eventually

CARRIERS = ["bandwidth", "sandbox"]
MANY = 5 * SLICE


def opened(folder: Path, source: SettingsFile | None = None) -> MessageSettings:
    source = source or SettingsFile(folder / FILE)
    return MessageSettings(source, folder / GOOD_COPY, CARRIERS, "US")


def many(description: str = "desk", count: int = MANY) -> list[NumberSetting]:
    return [
        NumberSetting(
            f"+1202{2_000_000 + n}", "sandbox", (str(100 + n % 50),), (), None, description
        )
        for n in range(count)
    ]


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The entries that are checked from now on, as they come."""
    seen: list[object] = []
    original = PlainEntries.read

    def read(self: PlainEntries, raw: object) -> NumberSetting | None:
        seen.append(raw)
        return original(self, raw)

    monkeypatch.setattr(PlainEntries, "read", read)
    return seen


# The same result as by checking everything

VALUES: dict[str, list[Any]] = {
    "number": ["+12025550100", "+12025550101", "+13035550177", "(202) 555-0102", "+442079460958"],
    "carrier": CARRIERS,
    "extensions": [[], ["201"], ["201", "202", "201"], [203], ["20 1"], [True], [1], "201"],
    "emails": [[], ["desk@example.com"], ["naïve@example.com"], ["nobody"]],
    "sender_id": [None, "", "Harbour", "x" * 33],
    "description": ["", "Front desk", 'A "quoted" \\ \ud83d 😀 \x00\n    },\n    {', "x" * 201],
    "enabled": [True, False, 1, 0, "yes", None],
}
WRONG: dict[str, list[Any]] = {
    "number": ["", "12", "+1202555010", "+11234567890", "+1202555０100", 5, None],
    "carrier": ["nobody", "", None, ["sandbox"]],
    "colour": ["red"],
}
ENTRIES = st.fixed_dictionaries(
    {name: st.sampled_from(VALUES[name]) for name in ("number", "carrier")},
    optional={
        name: st.sampled_from([*(VALUES[name] * 4), *WRONG.get(name, [])])
        for name in ("extensions", "emails", "sender_id", "description", "enabled")
    },
)
ODD_ENTRIES = st.one_of(
    st.builds(
        lambda entry, wrong: entry | wrong,
        ENTRIES,
        st.sampled_from([{name: value} for name, values in WRONG.items() for value in values]),
    ),
    st.sampled_from([None, 5, [], {}]),
)


def reference(content: bytes) -> list[NumberSetting] | str:
    """The entries, or the error message, by the schema of the whole document."""
    text = content.decode("utf-8-sig")

    def no_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        for name, _ in pairs:
            if [other for other, _ in pairs].count(name) > 1:
                raise SettingsError(f"the key “{name}” stands twice in one entry.")
        return dict(pairs)

    try:
        document = json.loads(text, object_pairs_hook=no_repetition)
        entries = MessageSettingsSchema().load(document)["numbers"]
    except json.JSONDecodeError as error:
        return f"line {error.lineno}, column {error.colno}: this is not JSON ({error.msg})."
    except SettingsError as error:
        return str(error)
    except ValidationError as error:
        return first_problem(error.messages, text)
    reader = DocumentReader(CARRIERS, "US")
    found: dict[str, NumberSetting] = {}
    for position, entry in enumerate(entries):
        try:
            reader.carrier(entry.carrier)
            number = reader.number(entry.number)
            if number in found:
                raise SettingsError(f"{number} stands there twice.", "number")
        except SettingsError as error:
            where = f"{line_of(text, entry.number)}numbers[{position}]"
            return f"{where}.{error.field}: {error.reason}"
        found[number] = NumberSetting(**asdict(entry) | {"number": number})
    return list(found.values())


def outcome(read: Callable[[], Any]) -> list[NumberSetting] | str:
    try:
        return list(read().by_number.values())
    except SettingsError as error:
        return str(error)


def written(entries: list[Any], indent: int | None, frame: dict[str, Any] | None = None) -> str:
    document = {"version": 1, **(frame or {}), "numbers": entries}
    return json.dumps(document, indent=indent, ensure_ascii=indent is None).replace("\ud83d", "?")


@given(
    before=st.lists(ENTRIES, max_size=4),
    after=st.lists(st.one_of(ENTRIES, ENTRIES, ODD_ENTRIES), max_size=4),
    indents=st.tuples(st.sampled_from([2, None]), st.sampled_from([2, None])),
    frame=st.sampled_from([{}, {}, {}, {"version": 2}, {"other": 1}, {"version": "1"}]),
)
@example([{"number": "+12025550100", "carrier": "sandbox", "enabled": True}], [{}], (2, 2), {})
def test_the_changed_entries_alone_give_the_same_as_the_whole_document(
    before: list[Any], after: list[Any], indents: tuple[int | None, int | None], frame: Any
) -> None:
    reader = DocumentReader(CARRIERS, "US")
    try:
        known = reader.read(written(before, indents[0]).encode())
    except SettingsError:
        known = NO_DOCUMENT
    # Some entries stay as they are, as in most edits.
    content = written([*before[:2], *after, *before[2:]], indents[1], frame).encode()
    assert outcome(lambda: reader.read(content, known)) == reference(content)


@given(
    entries=st.lists(ENTRIES, min_size=1, max_size=4, unique_by=lambda entry: entry["number"]),
    place=st.integers(min_value=0),
    length=st.integers(min_value=0, max_value=3),
    inserted=st.sampled_from(
        ["", "x", "}", "{", "]", ",", '"', "\n", "\n    },\n    {", "1", "\\"]
    ),
)
def test_a_slip_anywhere_in_the_document_gives_the_same_as_the_whole_document(
    entries: list[Any], place: int, length: int, inserted: str
) -> None:
    reader = DocumentReader(CARRIERS, "US")
    text = written(entries, 2)
    try:
        known = reader.read(text.encode())
    except SettingsError:
        known = NO_DOCUMENT
    place %= len(text)
    content = (text[:place] + inserted + text[place + length :]).encode()
    assert outcome(lambda: reader.read(content, known)) == reference(content)


@given(raw=st.one_of(ENTRIES, ODD_ENTRIES))
def test_a_plain_entry_is_what_the_schema_makes_of_it(raw: Any) -> None:
    plain = PlainEntries(CARRIERS).read(raw)
    if plain is not None:
        assert plain == ENTRY.load(raw)
        assert plain.number == e164(plain.number, "DE")
        assert plain.carrier in CARRIERS


def test_a_usual_entry_is_plain() -> None:
    (entry,) = many(count=1)
    assert PlainEntries(CARRIERS).read(json.loads(json.dumps(asdict(entry)))) == entry


TEXTS = st.text(max_size=9) | st.sampled_from(['"\\\n\t\x00\x7f\u2028', "\ud83d", "😀é"])


@given(
    st.lists(
        st.builds(
            NumberSetting,
            TEXTS,
            TEXTS,
            st.lists(TEXTS, max_size=3).map(tuple),
            st.lists(TEXTS, max_size=3).map(tuple),
            st.none() | TEXTS,
            TEXTS,
            st.booleans(),
        ),
        max_size=3,
    )
)
def test_a_document_is_written_as_json_with_two_spaces(entries: list[NumberSetting]) -> None:
    numbers = [asdict(entry) for entry in entries]
    for entry in numbers:
        del entry["aliases"]
    document = {"version": 1, "numbers": numbers}
    expected = clean(json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()
    assert encode_document(entries) == expected


# Only what changed is checked


def test_an_edit_of_one_number_checks_one_entry_in_every_process(
    tmp_path: Path, checked: list[object]
) -> None:
    (tmp_path / FILE).write_bytes(encode_document(many()))
    here, there = opened(tmp_path), opened(tmp_path)
    here.look()
    there.look()
    assert len(checked) == 2 * MANY
    checked.clear()
    changed = asdict(many(count=9)[7]) | {"description": "changed"}
    here.put(changed)
    assert len(checked) == 2, "as it comes from the editor, and as it was written"
    checked.clear()
    there.look()
    assert len(checked) == 1
    found = there.for_number(changed["number"])
    assert found is not None
    assert found.description == "changed"
    assert len(there.all()) == MANY
    assert there.generation == here.generation


# Nobody waits


def test_at_most_one_slice_of_entries_is_checked_at_a_time(
    tmp_path: Path, checked: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[int] = []
    clock = SimpleNamespace(sleep=lambda _: pauses.append(len(checked)))
    monkeypatch.setattr(services.message_settings.slices, "time", clock)
    for layout in (
        encode_document(many()),
        json.dumps(json.loads(encode_document(many()))).encode(),
    ):
        (tmp_path / FILE).write_bytes(layout)
        settings = opened(tmp_path)
        checked.clear()
        pauses.clear()
        settings.look()
        steps = [0, *pauses, len(checked)]
        assert len(checked) == MANY
        assert max(later - earlier for earlier, later in pairwise(steps)) <= SLICE


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """While it is not set, a thread that checks a large document waits between two slices."""
    gate = threading.Event()
    clock = SimpleNamespace(sleep=lambda _: gate.wait(PATIENCE))
    monkeypatch.setattr(services.message_settings.slices, "time", clock)
    return gate


def test_while_a_large_document_is_checked_the_settings_before_are_in_force(
    tmp_path: Path, gate: threading.Event
) -> None:
    gate.set()
    (tmp_path / FILE).write_bytes(encode_document(many("before")))
    settings = opened(tmp_path)
    number = many()[0].number
    generation = settings.generation
    (tmp_path / FILE).write_bytes(encode_document(many("after!")))
    gate.clear()

    def description() -> str:
        found = settings.for_number(number)
        assert found is not None
        return found.description

    for _ in range(3):
        assert description() == "before"
        assert settings.generation == generation
        assert settings.problem is None
    gate.set()
    assert eventually(lambda: description() == "after!")
    assert eventually(lambda: settings.generation != generation)


def test_who_looks_waits_for_the_newest_document(tmp_path: Path, gate: threading.Event) -> None:
    gate.set()
    (tmp_path / FILE).write_bytes(encode_document(many("before")))
    settings = opened(tmp_path)
    settings.look()
    (tmp_path / FILE).write_bytes(encode_document(many("after!")))
    gate.clear()
    settings.for_number("+12025550100")  # a thread begins to check the document
    threading.Timer(0.1, gate.set).start()
    settings.look()
    assert {entry.description for entry in settings.all()} == {"after!"}


def test_a_large_broken_edit_leaves_the_last_good_settings_in_force(tmp_path: Path) -> None:
    good = encode_document(many())
    (tmp_path / FILE).write_bytes(good)
    settings = opened(tmp_path)
    settings.look()
    (tmp_path / FILE).write_bytes(good.replace(b'"+12022001000"', b'"12"'))
    assert eventually(lambda: settings.problem)
    line = good[: good.index(b'"+12022001000"')].count(b"\n") + 1
    assert f"line {line}: numbers[1000].number" in str(settings.problem)
    assert len(settings.all()) == MANY
    restarted = opened(tmp_path)
    assert len(restarted.all()) == MANY
    assert restarted.problem == settings.problem


def test_a_number_of_thousands_of_digits_is_a_mistake_like_any_other(tmp_path: Path) -> None:
    settings = opened(tmp_path)
    settings.put(asdict(many(count=1)[0]))
    for content in (settings.document().replace(b'"100"', b"1" * 5000), b"[" + b"1" * 5000 + b"]"):
        (tmp_path / FILE).write_bytes(content)
        assert "thousands of digits" in str(settings.problem)
        assert len(settings.all()) == 1


# Writers


class WatchedFile(SettingsFile):
    """Calls ``before`` under the lock, just before a document is replaced."""

    def __init__(self, path: Path, before: Callable[[], None]) -> None:
        super().__init__(path)
        self.before = before

    def replace(self, change: Callable[[bytes | None], bytes]) -> None:
        self.before()
        super().replace(change)


def test_the_change_is_made_before_other_writers_wait(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(encode_document(many()))
    under_lock: list[bool] = []

    class Locked(SettingsFile):
        is_locked = False

        def replace(self, change: Callable[[bytes | None], bytes]) -> None:
            def locked(content: bytes | None) -> bytes:
                self.is_locked = True
                changed = change(content)
                self.is_locked = False
                return changed

            super().replace(locked)

    source = Locked(tmp_path / FILE)
    settings = opened(tmp_path, source)

    def without_first(entries: list[NumberSetting]) -> list[NumberSetting]:
        under_lock.append(source.is_locked)
        return entries[1:]

    settings.change(without_first)
    settings.change(without_first, settings.generation)
    assert under_lock == [False, False]
    assert len(settings.all()) == MANY - 2


def overtaken(tmp_path: Path, *, by: NumberSetting) -> MessageSettings:
    """Message Settings whose first edit another process overtakes, which adds an entry."""
    other = opened(tmp_path)
    left = [lambda: other.put(asdict(by))]

    def meanwhile() -> None:
        if left:
            left.pop()()

    return opened(tmp_path, WatchedFile(tmp_path / FILE, meanwhile))


def test_of_two_edits_at_once_neither_is_lost(tmp_path: Path) -> None:
    first, second = many(count=2)
    settings = overtaken(tmp_path, by=first)
    settings.put(asdict(second))
    assert [entry.number for entry in settings.all()] == [first.number, second.number]


def test_an_edit_that_another_one_overtakes_is_stale(tmp_path: Path) -> None:
    first, second = many(count=2)
    settings = overtaken(tmp_path, by=first)
    with pytest.raises(SettingsConflict):
        settings.put(asdict(second), settings.generation)
    settings.look()
    assert [entry.number for entry in settings.all()] == [first.number]
