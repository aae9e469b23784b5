"""Message Settings file: edited by hand and by command, read whole by every process."""

import multiprocessing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.core.errors import SettingsConflict, SettingsError
from services.message_settings import MessageSettings, SettingsFile
from services.operations.settings_source import FILE, GOOD_COPY, open_settings
from services.store.database.store import Store
from tests.conftest import NUMBER, NUMBER_ENTRY, settings_file

CARRIERS = ["bandwidth", "sandbox"]


def opened(folder: Path) -> MessageSettings:
    """Message Settings in the file of a folder."""
    return MessageSettings(SettingsFile(folder / FILE), folder / GOOD_COPY, CARRIERS, "US")


@pytest.fixture
def either(database: str, tmp_path: Path) -> Iterator[MessageSettings]:
    """Message Settings where each database has them."""
    store = Store(database or None, tmp_path)
    store.migrate()
    yield open_settings(store, tmp_path, "US")
    store.close()


def test_a_hand_edit_is_seen_at_the_next_look(tmp_path: Path) -> None:
    settings = opened(tmp_path)
    assert settings.for_number(NUMBER) is None
    (tmp_path / FILE).write_text(settings_file(NUMBER_ENTRY))
    found = settings.for_number(NUMBER)
    assert found is not None
    assert found.extensions == ("201",)
    assert [entry.number for entry in settings.for_extension("201")] == [NUMBER]


def test_numbers_are_written_any_usual_way_and_extensions_without_quotation_marks(
    tmp_path: Path,
) -> None:
    settings = opened(tmp_path)
    entry = {"number": "(202) 555-0100", "carrier": "bandwidth", "extensions": [201, "202"]}
    (tmp_path / FILE).write_text(settings_file(entry))
    found = settings.for_number(NUMBER)
    assert found is not None
    assert found.extensions == ("201", "202")


def test_a_disabled_number_reaches_nobody(either: MessageSettings) -> None:
    either.put(NUMBER_ENTRY | {"enabled": False})
    assert either.for_extension("201") == ()
    found = either.for_number(NUMBER)
    assert found is not None
    assert not found.reaches_somebody


BROKEN = {
    '{"numbers": [': "line 1, column 14",
    '{"numbers": [{"number": "12", "carrier": "bandwidth"}]}': "line 1: numbers[0].number",
    '{"numbers": [{"number": "+12025550100"}]}': "numbers[0].carrier: It is missing",
    '{"numbers": [{"number": "+12025550100", "carrier": "nobody"}]}': "Unknown carrier “nobody”",
    '{"numbers": [{"number": "+12025550100", "carrier": "bandwidth", "extension": "1"}]}': (
        "numbers[0].extension: There is no such field"
    ),
    '{"numbers": [{"number": "+12025550100", "carrier": "bandwidth", "emails": ["x"]}]}': (
        "numbers[0].emails[0]"
    ),
    '{"numbers": {}}': "numbers: Send a list",
    "[]": "Send a JSON object",
    "null": "Send a JSON object",
    '{"version": 3, "numbers": []}': "version",
    '{"numbers": [], "numbers": []}': "stands twice",
    "\x00": "line 1, column 1",
    "[" * 5000: "nested too deeply",
}


@pytest.mark.parametrize(("content", "complaint"), BROKEN.items(), ids=range(len(BROKEN)))
def test_a_broken_edit_leaves_the_last_good_settings_in_force(
    tmp_path: Path, content: str, complaint: str
) -> None:
    settings = opened(tmp_path)
    settings.put(NUMBER_ENTRY)
    (tmp_path / FILE).write_text(content)
    assert settings.for_number(NUMBER) is not None
    assert settings.problem is not None
    assert complaint in settings.problem

    restarted = opened(tmp_path)
    assert restarted.for_number(NUMBER) is not None
    assert restarted.problem == settings.problem
    with pytest.raises(SettingsError, match="Fix the file first"):
        restarted.put(NUMBER_ENTRY)

    (tmp_path / FILE).write_text(settings_file(NUMBER_ENTRY))
    assert settings.problem is None


def test_a_file_cut_at_any_byte_never_changes_the_settings_in_force(tmp_path: Path) -> None:
    settings = opened(tmp_path)
    settings.put(NUMBER_ENTRY)
    whole = (tmp_path / FILE).read_bytes()
    for cut in range(len(whole) - 1):
        (tmp_path / FILE).write_bytes(whole[:cut])
        found = settings.for_number(NUMBER)
        assert found is not None
        assert found.extensions == ("201",)


def test_two_entries_of_one_number_are_refused(tmp_path: Path) -> None:
    settings = opened(tmp_path)
    (tmp_path / FILE).write_text(
        settings_file(NUMBER_ENTRY, NUMBER_ENTRY | {"number": "2025550100"})
    )
    assert settings.problem is not None
    assert "stands there twice" in settings.problem


def test_a_stale_editor_is_told(either: MessageSettings) -> None:
    either.put(NUMBER_ENTRY)
    seen = either.generation
    either.put(NUMBER_ENTRY | {"description": "changed"})
    with pytest.raises(SettingsConflict):
        either.put(NUMBER_ENTRY | {"description": "stale"}, seen)
    with pytest.raises(SettingsConflict):
        either.remove(NUMBER, seen)
    found = either.for_number(NUMBER)
    assert found is not None
    assert found.description == "changed"


BAD_ENTRIES = [
    (NUMBER_ENTRY | {"number": "abc"}, "number"),
    (NUMBER_ENTRY | {"carrier": "nobody"}, "carrier"),
    (NUMBER_ENTRY | {"extensions": ["2 01"]}, "extensions[0]"),
    (NUMBER_ENTRY | {"extensions": "201"}, "extensions"),
    (NUMBER_ENTRY | {"emails": ["a@b\nBcc: c@d"]}, "emails[0]"),
    (NUMBER_ENTRY | {"enabled": "yes"}, "enabled"),
    (NUMBER_ENTRY | {"colour": "red"}, "colour"),
]


@pytest.mark.parametrize(
    ("entry", "field"), BAD_ENTRIES, ids=lambda v: v if isinstance(v, str) else ""
)
def test_a_bad_entry_is_refused_by_the_name_of_its_field(
    either: MessageSettings, entry: dict[str, object], field: str
) -> None:
    before = either.document()
    with pytest.raises(SettingsError) as caught:
        either.put(entry)
    assert caught.value.field == field
    assert either.document() == before


def test_removing_what_is_not_there_says_so(either: MessageSettings) -> None:
    with pytest.raises(SettingsError, match="is not in Message Settings"):
        either.remove(NUMBER)


@pytest.mark.parametrize(("content", "complaint"), BROKEN.items(), ids=range(len(BROKEN)))
def test_a_broken_document_is_not_put(
    either: MessageSettings, content: str, complaint: str
) -> None:
    either.put(NUMBER_ENTRY)
    before = either.document()
    with pytest.raises(SettingsError) as caught:
        either.put_document(content.encode())
    assert complaint in str(caught.value)
    assert either.document() == before


def test_a_document_takes_the_place_of_the_whole_one(either: MessageSettings) -> None:
    either.put(NUMBER_ENTRY)
    other = {
        "number": "(202) 555-0101",
        "carrier": "sandbox",
        "description": "naïve 😀 \ud83d \x00",
    }
    either.put_document(settings_file(other).encode())
    (entry,) = either.all()
    assert (entry.number, entry.description) == ("+12025550101", "naïve 😀 � \x00")
    document = either.document()
    either.put_document(document)
    assert either.document() == document


def test_only_one_document_is_the_first(either: MessageSettings) -> None:
    assert either.put_first(settings_file(NUMBER_ENTRY).encode())
    assert not either.put_first(settings_file().encode())
    assert not either.put_first(b"not even looked at")
    assert [entry.number for entry in either.all()] == [NUMBER]


def _edit(database: str, folder: Path, first: int, start: Any) -> None:
    store = Store(database or None, folder)
    settings = open_settings(store, folder, "US")
    start.wait()
    for index in range(first, first + 40):
        settings.put({"number": f"+1202555{index:04}", "carrier": "bandwidth"})
    store.close()


@pytest.mark.processes
def test_processes_that_edit_at_once_lose_nothing(
    either: MessageSettings, database: str, tmp_path: Path
) -> None:
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(4)
    processes = [
        context.Process(target=_edit, args=(database, tmp_path, first, start))
        for first in (100, 200, 300, 400)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    either.look()
    assert len(either.all()) == 160
