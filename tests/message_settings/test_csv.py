"""CSV files of Message Settings, changes of several numbers, search."""

import csv
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies

from services.core.errors import EntryRefused, SettingsConflict, SettingsError
from services.core.messages import clean
from services.message_settings import EXTENSION, MessageSettings, NumberSetting, SettingsFile
from services.message_settings.csv_format import write_csv
from services.message_settings.csv_import import apply_import, plan_import
from services.message_settings.edits import Edit, edit_all, remove_all
from services.message_settings.search import find_entries
from services.operations.settings_source import FILE, GOOD_COPY
from tests.conftest import NUMBER, settings_file

CARRIERS = ["bandwidth", "voipms", "sandbox"]
FRONT = {
    "number": NUMBER,
    "carrier": "bandwidth",
    "extensions": ["201", "202"],
    "emails": ["desk@example.com"],
    "sender_id": "ACME",
    "description": "Front desk",
}
SALES = {"number": "+12025550160", "carrier": "sandbox", "extensions": ["203"], "enabled": False}
TITLES = (
    "Phone Number,Carrier,Assigned Extension,Assigned Email,Sender ID,Description,Enabled,Aliases"
)


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., MessageSettings]:
    """Open Message Settings with these entries."""

    def make(*numbers: dict[str, Any]) -> MessageSettings:
        (tmp_path / FILE).write_text(settings_file(*numbers), "utf-8")
        return MessageSettings(SettingsFile(tmp_path / FILE), tmp_path / GOOD_COPY, CARRIERS, "US")

    return make


@pytest.fixture
def both(make: Callable[..., MessageSettings]) -> MessageSettings:
    """Two numbers."""
    return make(FRONT, SALES)


def test_a_csv_file_has_the_columns_of_fs_pbx_and_a_byte_order_mark(both: MessageSettings) -> None:
    written = write_csv(both.all())
    assert written.startswith(b"\xef\xbb\xbfPhone Number,Carrier,")
    assert written.decode("utf-8-sig").split("\r\n") == [
        TITLES,
        '\'+12025550100,bandwidth,"201, 202",desk@example.com,ACME,Front desk,yes,',
        "'+12025550160,sandbox,203,,,,no,",
        "",
    ]


FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1",
 "'=1", "''=1", "＝1",
            "=cmd|' /C calc'!A0", '"=1"', "'", "'tis the season", "a\r\nb",
 '"', ",", ";", " x "]  # fmt: skip


@pytest.mark.parametrize("words", FORMULAS)
def test_no_cell_is_a_formula_and_all_come_back_as_they_were(
    make: Callable[..., MessageSettings], words: str
) -> None:
    known = make(FRONT | {"description": words, "sender_id": words})
    content = write_csv(known.all())
    for cell in next(csv.reader(io.StringIO(content.decode("utf-8-sig").partition("\r\n")[2], ""))):
        assert not cell.lstrip(" ").startswith(("=", "+", "-", "@", "＝", "\t", "\r", "\n"))
    (line,) = plan_import(known, content).lines
    assert line.changes.keys() <= {"sender_id"}, "people do not see spaces around a sender"
    assert words != words.strip() or line.outcome == "unchanged"


TEXTS = strategies.text(max_size=60).map(clean)
ENTRIES = strategies.builds(
    NumberSetting,
    number=strategies.integers(2_000_000, 9_999_999).map(lambda n: f"+1202{n}"),
    carrier=strategies.sampled_from(CARRIERS),
    extensions=strategies.lists(
        strategies.from_regex(EXTENSION, fullmatch=True).filter(EXTENSION.fullmatch), unique=True
    ).map(tuple),
    emails=strategies.lists(
        strategies.sampled_from(["a@example.com", "=b@example.com", "+c@é.com"]), unique=True
    ).map(tuple),
    sender_id=strategies.one_of(
        strategies.none(), TEXTS.map(lambda t: t.strip()[:32].strip()).filter(bool)
    ),
    description=TEXTS,
    enabled=strategies.booleans(),
)


@settings(max_examples=150, deadline=None, database=None, derandomize=True)
@given(entries=strategies.lists(ENTRIES, max_size=4, unique_by=lambda e: e.number))
def test_all_that_is_written_to_a_csv_file_is_read_from_it(
    tmp_path_factory: pytest.TempPathFactory, entries: list[NumberSetting]
) -> None:
    folder = tmp_path_factory.mktemp("csv")
    known = MessageSettings(SettingsFile(folder / FILE), folder / GOOD_COPY, CARRIERS, "US")
    known.change(lambda _: entries)
    counts = plan_import(known, write_csv(known.all())).counts
    assert counts == {"added": 0, "changed": 0, "unchanged": len(entries), "refused": 0}


TABS = "did\tcarrier\text\temail\tlabel\n2025550177\tbandwidth\t301,302\ta@x.com\tNew"
FILES = {
    "as exported": (f"{TITLES}\r\n(202) 555-0177,Bandwidth,301 302,a@x.com,,New,,\r\n").encode(),
    "semicolons": b"Rufnummer;Phone number;CARRIER;Extension(s);Emails;Name\r\n"
    b"x;2025550177;bandwidth;301, 302;a@x.com;New\r\n",
    "tabs in UTF-16": TABS.encode("utf-16"),
    "mark": b"\xef\xbb\xbfnumber,carrier,extensions,emails,description\n"
    b"'+12025550177,bandwidth,301;302,a@x.com,New\n\n,,,,\n",
    "FS PBX's database": b"sms_destination_uuid,destination,carrier,enabled,description,"
    b"chatplan_detail_data,email\n1-2-3,12025550177,bandwidth,true,New,301 302,a@x.com\n",
}


@pytest.mark.parametrize("name", FILES)
def test_csv_files_of_other_programs_are_read(both: MessageSettings, name: str) -> None:
    planned = plan_import(both, FILES[name])
    assert planned.counts == {"added": 1, "changed": 0, "unchanged": 0, "refused": 0}
    apply_import(both, planned)
    assert both.for_number("+12025550177") == NumberSetting(
        "+12025550177", "bandwidth", ("301", "302"), ("a@x.com",), None, "New"
    )
    assert [entry.number for entry in both.all()][:2] == [NUMBER, SALES["number"]]


def test_columns_that_are_not_there_change_nothing(both: MessageSettings) -> None:
    planned = plan_import(both, b"number,extension,enabled,carrier,color\n2025550100,205,,,red\n")
    assert planned.unknown_columns == ("color",)
    (line,) = planned.lines
    assert line.changes == {"extensions": ("201, 202", "205")}
    apply_import(both, planned)
    entry = both.for_number(NUMBER)
    assert entry == NumberSetting(
        NUMBER, "bandwidth", ("205",), ("desk@example.com",), "ACME", "Front desk"
    )


def test_an_empty_cell_empties_the_field(both: MessageSettings) -> None:
    planned = plan_import(both, b"number,extension,email,sender,description\n2025550100,,,,\n")
    apply_import(both, planned)
    assert both.for_number(NUMBER) == NumberSetting(NUMBER, "bandwidth")


BAD_LINES = {
    "nonsense,bandwidth,1,,yes": {"number": "“nonsense” is not a phone number"},
    ",bandwidth,1,,yes": {"number": "“” is not"},
    "2025550177,carrot,1,,yes": {"carrier": "Unknown carrier “carrot”. Use one of: bandwidth"},
    "2025550177,,1,,yes": {"carrier": "No carrier is given."},
    "2025550177,bandwidth,1 2/3,,yes": {"extensions": "“2/3”: An extension has"},
    "2025550177,bandwidth,1,a@b.c x,yes": {"emails": "“x”: it must be one e-mail address"},
    "2025550177,bandwidth,1,,perhaps": {"enabled": "Write yes or no."},
    "x,y,a/b,z,w": {"number": "“x”", "carrier": "“y”", "extensions": "“a/b”", "emails": "“z”",
                    "enabled": "Write yes"},
}  # fmt: skip


@pytest.mark.parametrize("bad", BAD_LINES)
def test_a_bad_line_is_refused_by_its_fields_and_nothing_is_imported(
    both: MessageSettings, bad: str
) -> None:
    before = both.document()
    good = "2025550178,bandwidth,1,,yes"
    planned = plan_import(
        both, f"number,carrier,extensions,emails,enabled\n{good}\n{bad}\n".encode()
    )
    assert planned.counts == {"added": 1, "changed": 0, "unchanged": 0, "refused": 1}
    line = planned.lines[1]
    assert line.line == 3
    assert line.problems.keys() == BAD_LINES[bad].keys()
    assert all(words in line.problems[name] for name, words in BAD_LINES[bad].items())
    with pytest.raises(SettingsError, match=r"^line 3: .*Nothing was imported"):
        apply_import(both, planned)
    assert both.document() == before


def test_a_number_that_stands_there_twice_is_refused(both: MessageSettings) -> None:
    planned = plan_import(both, b'number,carrier\n2025550177,"sandbox"\n+1 202 555 0177,sandbox\n')
    assert [line.outcome for line in planned.lines] == ["added", "refused"]
    assert planned.lines[1].problems == {"number": "+12025550177 stands in line 2 already."}


BAD_FILES = {
    b"": "No column is the “Phone Number”",
    b"2025550100,bandwidth\n": "No column is the “Phone Number”",
    b"number,did\n1,2\n": "Two columns are the “Phone Number”",
    b"number,carrier\n2025550100\n": "line 2: it has 1 cells and the first line 2",
    b'number,description\n1,"a\nb"\n2,x,y\n': "line 4: it has 3 cells",
    b'number,description\n2025550100,"x\n': "line 2: unexpected end of data",
    b"number\n\xff\xfe\n": "Save it again as “CSV UTF-8”",
    b"\xff\xfen\x00u\x00": "No column",
    b"\xff\xfen\x00\x00": "Save it again",
    b"\x00\x01\x02": "No column",
    b"number\n" + b"1\n" * 10_001: "more than 10,000 numbers",
    b"number\n" + b"x" * 200_000: "field larger than field limit",
    b"x" * 2_000_001: "larger than 2 MB",
}


@pytest.mark.parametrize("content", BAD_FILES, ids=lambda c: repr(c[:20]))
def test_a_csv_file_that_cannot_be_read(both: MessageSettings, content: bytes) -> None:
    with pytest.raises(SettingsError) as told:
        plan_import(both, content)
    assert BAD_FILES[content] in told.value.reason


def test_an_edit_between_plan_and_import_is_not_overwritten(both: MessageSettings) -> None:
    planned = plan_import(both, b"number,description\n2025550100,Mine\n")
    both.put(FRONT | {"description": "Theirs"})
    with pytest.raises(SettingsConflict):
        apply_import(both, planned)
    assert [entry.description for entry in both.all()] == ["Theirs", ""]


# several numbers


def test_several_numbers_change_at_once(both: MessageSettings) -> None:
    before = both.all()
    edit = Edit("voipms", add_extensions=("300", "201"), remove_extensions=("202",), enabled=True)
    edit_all(both, ["(202) 555-0100", "+12025550160"], edit, both.generation)
    assert both.all() == [
        replace(before[0], carrier="voipms", extensions=("201", "300")),
        replace(before[1], carrier="voipms", extensions=("203", "300", "201"), enabled=True),
    ]
    remove_all(both, [NUMBER], both.generation)
    assert [entry.number for entry in both.all()] == [SALES["number"]]


@pytest.mark.parametrize(
    ("numbers", "edit", "words"),
    [
        ([], Edit(), "Choose at least one number."),
        ([NUMBER, "+12025550199"], Edit(), "+12025550199 is not in Message Settings."),
        ([NUMBER, "x"], Edit(), "“x” is not a phone number"),
        ([NUMBER], Edit(carrier="carrot"), "Unknown carrier “carrot”"),
        ([NUMBER, "+12025550160"], Edit(add_extensions=("a b",)), "An extension has"),
    ],
)
def test_of_several_numbers_all_are_changed_or_none(
    both: MessageSettings, numbers: list[str], edit: Edit, words: str
) -> None:
    before = both.document()
    with pytest.raises(SettingsError) as told:
        edit_all(both, numbers, edit)
    assert words in told.value.reason
    assert both.document() == before
    if edit == Edit():
        with pytest.raises(SettingsError):
            remove_all(both, numbers)
        assert both.document() == before


def test_a_stale_edit_of_several_numbers_is_told(both: MessageSettings) -> None:
    seen = both.generation
    both.put(FRONT | {"description": "Theirs"})
    before = both.document()
    for change in (lambda: edit_all(both, [NUMBER], Edit(enabled=False), seen),
                   lambda: remove_all(both, [NUMBER], seen)):  # fmt: skip
        with pytest.raises(SettingsConflict):
            change()
    assert both.document() == before


def test_every_field_that_is_wrong_is_named(both: MessageSettings) -> None:
    with pytest.raises(EntryRefused) as told:
        both.put({"number": "1", "carrier": "x", "extensions": ["1", "2 3"], "description": None})
    assert told.value.problems.keys() == {"number", "carrier", "extensions[1]", "description"}


@pytest.mark.parametrize(
    ("words", "count"),
    [("", 2), ("555-01", 2), ("(202) 555 0160", 1), ("FRONT", 1), ("desk 202", 1), ("203", 1),
     ("desk nobody", 0), ("yes", 0), ("sandbox", 1), ("acme", 1), ("@example", 1),
     ("+", 2), ("\x00", 0)],
)  # fmt: skip
def test_numbers_are_found_by_anything_about_them(
    both: MessageSettings, words: str, count: int
) -> None:
    assert len(find_entries(both.all(), words)) == count
