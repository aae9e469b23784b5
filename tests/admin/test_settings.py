"""Message Settings pages: list, form, changes of many numbers, CSV import."""

import re
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from services.message_settings import NumberSetting, csv_format
from services.operations.settings_source import FILE
from tests.admin.conftest import Operator, plain
from tests.conftest import NUMBER, NUMBER_ENTRY

Make = Callable[..., Operator]
PAGE = "/message-settings"
SALES = {
    "number": "+12025550160",
    "carrier": "bandwidth",
    "extensions": ["203"],
    "emails": ["sales@example.com"],
    "sender_id": "ACME",
    "description": "Sales",
    "enabled": False,
}
NEW = {
    "number": "(202) 555-0177",
    "carrier": "sandbox",
    "extensions": "301 302,303",
    "emails": "a@example.com",
    "description": "New",
    "sender_id": "",
    "enabled": "yes",
}
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "\u202egpj.exe",
    "😀" * 99,
    "{{ 7 * 7 }}",
    "'",
    "=1+1",
    "a\x00b",
]


@pytest.fixture
def operator(make_operator: Make) -> Operator:
    """Two numbers; one belongs to a carrier that is not configured."""
    return make_operator(NUMBER_ENTRY | {"description": "Front desk"}, SALES)


def generation(operator: Operator) -> str:
    return operator.gateway.settings.generation


def numbers(page: str) -> list[str]:
    """The numbers of the table, in its order."""
    return re.findall(r'name="number" value="([^"]+)"', page)


def test_without_numbers_the_page_says_what_to_do(make_operator: Make) -> None:
    operator = make_operator()
    page = operator.get(PAGE)
    assert "No number yet" in plain(page)
    assert f'href="/admin{PAGE}/new"' in page
    assert f'href="/admin{PAGE}"' in operator.get("/"), "it stands in the menu"


def test_the_table_shows_everything_about_a_number(operator: Operator) -> None:
    page = plain(operator.get(PAGE))
    for words in ("+1 202-555-0100", "Front desk", "Sandbox", "201", "+1 202-555-0160",
                  "sales@ example.com", "disabled", "bandwidth not configured", "Sender ID ACME",
                  "1 number belongs to “bandwidth”"):  # fmt: skip
        assert words in page


def test_a_number_is_added_changed_rested_and_removed(operator: Operator) -> None:
    assert "+1 202-555-0177 was added." in plain(operator.post(f"{PAGE}/new", **NEW))
    made = operator.gateway.settings.for_number("+12025550177")
    assert made == NumberSetting(
        "+12025550177", "sandbox", ("301", "302", "303"), ("a@example.com",), None, "New"
    )
    form = operator.get(f"{PAGE}/+12025550177")
    assert 'value="301, 302, 303"' in form
    changed = NEW | {"extensions": "", "description": "Other", "generation": generation(operator)}
    operator.post(f"{PAGE}/+12025550177", **changed)
    made = operator.gateway.settings.for_number("+12025550177")
    assert made is not None
    assert (made.extensions, made.description) == ((), "Other")
    page = operator.post(
        f"{PAGE}/+12025550177/enabled?q=other", enabled="no", generation=generation(operator)
    )
    assert numbers(page) == ["+12025550177"], "the search stays"
    made = operator.gateway.settings.for_number("+12025550177")
    assert made is not None
    assert not made.enabled
    form = operator.get(f"{PAGE}/+12025550177").partition("/remove")[2]
    page = operator.post(f"{PAGE}/+12025550177/remove", generation=field_of(form, "generation"))
    assert numbers(page) == [NUMBER, SALES["number"]]
    operator.get(f"{PAGE}/+12025550177", 404)


BAD = [
    ({"number": "nonsense"}, "“nonsense” is not a phone number"),
    ({"number": ""}, "is not a phone number"),
    ({"number": "202-555-0100"}, "+12025550100 is in Message Settings already."),
    ({"carrier": "carrot"}, "Unknown carrier “carrot”"),
    ({"carrier": ""}, "No carrier is given. Use one of:"),
    ({"extensions": "201 2/3"}, "“2/3”: An extension has"),
    ({"emails": "a@example.com, b@"}, "“b@”: it must be one e-mail address"),
    ({"sender_id": "x" * 33}, "Send at most 32 characters"),
    ({"description": "x" * 201}, "Send at most 200 characters"),
]


@pytest.mark.parametrize(("wrong", "words"), BAD)
def test_what_is_wrong_stands_at_its_field_and_what_was_typed_stays(
    operator: Operator, wrong: dict[str, str], words: str
) -> None:
    before = operator.gateway.settings.document()
    page = operator.post(f"{PAGE}/new", 422, **(NEW | wrong))
    (field,) = wrong
    problem = re.search(rf'id="f-{field}-problem">([^<]+)<', page)
    assert problem
    assert words in plain(problem[1])
    typed = NEW | wrong
    for name in ("number", "extensions", "emails", "sender_id", "description"):
        assert f'value="{typed[name]}"' in page
    assert operator.gateway.settings.document() == before


def test_all_that_is_wrong_is_said_at_once(operator: Operator) -> None:
    bad = {"number": "x", "carrier": "y", "extensions": "/", "emails": "z"}
    page = operator.post(f"{PAGE}/new", 422, **(NEW | bad))
    assert set(re.findall(r'id="f-(\w+)-problem"', page)) == set(bad)


def test_an_edit_made_elsewhere_is_shown_and_not_overwritten(operator: Operator) -> None:
    seen = generation(operator)
    operator.gateway.settings.put(NUMBER_ENTRY | {"description": "Theirs", "extensions": ["999"]})
    mine = NEW | {"description": "Mine", "generation": seen}
    page = operator.post(f"{PAGE}/{NUMBER}", 409, **mine)
    for words in ("Theirs", "999", "Mine", "301 302,303", "Save mine", "Take what is there now"):
        assert words in plain(page)
    kept = operator.gateway.settings.for_number(NUMBER)
    assert kept is not None
    assert kept.description == "Theirs"
    again = re.search(r'name="generation" value="([^"]+)"', page.partition("card")[2])
    assert again
    operator.post(f"{PAGE}/{NUMBER}", **(mine | {"generation": again[1]}))
    kept = operator.gateway.settings.for_number(NUMBER)
    assert kept is not None
    assert kept.description == "Mine"


def test_a_number_that_was_removed_elsewhere_is_not_silently_back(operator: Operator) -> None:
    seen = generation(operator)
    operator.gateway.settings.remove(NUMBER)
    page = operator.post(f"{PAGE}/{NUMBER}", 409, **(NEW | {"generation": seen}))
    assert "The number was removed meanwhile" in plain(page)
    assert operator.gateway.settings.for_number(NUMBER) is None


@pytest.mark.parametrize(
    ("path", "fields"),
    [("bulk", {"do": "remove"}), ("bulk", {"do": "change", "enabled": "no"}), ("bulk", {}),
     (f"{NUMBER}/enabled", {"enabled": "no"}), (f"{NUMBER}/remove", {})],
)  # fmt: skip
def test_nothing_stale_changes_anything(
    operator: Operator, path: str, fields: dict[str, str]
) -> None:
    seen = generation(operator)
    operator.gateway.settings.put(NUMBER_ENTRY | {"description": "Theirs"})
    before = operator.gateway.settings.document()
    for stale in (seen, ""):
        page = operator.post(
            f"{PAGE}/{path}",
            422 if path == "bulk" and not fields else 409,
            **({"number": [NUMBER], "generation": stale} | fields),
        )
        assert "Theirs" in page
        assert f'value="{NUMBER}" form="bulk" aria-label="Choose +1 202-555-0100" checked' in page
    assert operator.gateway.settings.document() == before


def test_chosen_numbers_change_at_once(operator: Operator) -> None:
    both = [NUMBER, SALES["number"]]
    fields = {"number": both, "carrier": "sandbox", "extensions": "300, 301", "without": "203",
              "enabled": "yes", "do": "change"}  # fmt: skip
    page = operator.post(f"{PAGE}/bulk?sort=carrier", **fields, generation=generation(operator))
    assert "2 numbers were changed." in plain(page)
    after = operator.gateway.settings.all()
    assert [entry.extensions for entry in after] == [("201", "300", "301"), ("300", "301")]
    assert {(entry.carrier, entry.enabled) for entry in after} == {("sandbox", True)}
    page = operator.post(f"{PAGE}/bulk", number=both, do="remove", generation=generation(operator))
    assert "2 numbers were removed." in plain(page)
    assert operator.gateway.settings.all() == []


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"number": []}, "Choose at least one number."),
        ({"number": [], "do": "remove"}, "Choose at least one number."),
        ({"number": [NUMBER]}, "Say what is to change"),
        ({"number": [NUMBER], "carrier": "bandwidth"}, "This carrier is not configured."),
        ({"number": [NUMBER], "extensions": "a/b"}, "An extension has up to 32"),
        ({"number": ["+12025550199"], "enabled": "no"}, "+12025550199 is not in Message Settings"),
        ({"number": ["<b>"], "enabled": "no"}, "“<b>” is not a phone number"),
    ],
)
def test_a_change_of_several_that_cannot_be_made(
    operator: Operator, fields: dict[str, Any], words: str
) -> None:
    before = operator.gateway.settings.document()
    page = operator.post(f"{PAGE}/bulk", 422, **fields, generation=generation(operator))
    assert words in plain(page)
    assert "<b>" not in page
    assert operator.gateway.settings.document() == before


def test_a_broken_document_is_told_with_its_place_and_not_touched(
    operator: Operator, tmp_path: Path
) -> None:
    seen = generation(operator)
    (tmp_path / FILE).write_text('{"numbers": [')
    page = plain(operator.get(PAGE))
    assert "line 1, column 14" in page
    assert "Fix the file first." in page
    assert "+1 202-555-0100" in page, "the last good settings are shown"
    upload = (BytesIO(b"number,carrier\n2025550177,sandbox\n"), "a.csv")
    for path, fields in (
        ("new", NEW), (NUMBER, NEW | {"generation": seen}),
        (f"{NUMBER}/remove", {"generation": seen}),
        (f"{NUMBER}/enabled", {"generation": seen}),
        ("bulk", {"number": NUMBER, "do": "remove", "generation": seen}),
    ):  # fmt: skip
        answer = plain(operator.post(f"{PAGE}/{path}", 422, **fields))
        assert "Fix the file first." in answer, path
    assert "Fix the file first." in plain(operator.post(f"{PAGE}/import", 200, file=upload))
    assert (tmp_path / FILE).read_text() == '{"numbers": ['


@pytest.mark.parametrize("words", HOSTILE)
def test_hostile_words_are_text_everywhere(operator: Operator, words: str) -> None:
    operator.post(f"{PAGE}/new", **(NEW | {"description": words, "sender_id": words[:32]}))
    pages = [
        operator.get(PAGE),
        operator.get(f"{PAGE}/+12025550177"),
        operator.client.get(
            f"/admin{PAGE}",
            query_string={"q": words, "carrier": words, "after": words, "sort": words},
        ).text,
        operator.post(
            f"{PAGE}/+12025550177", 409, **(NEW | {"description": words, "generation": "x"})
        ),
        operator.post(f"{PAGE}/import", 200, file=(BytesIO(
            f'number,carrier,description,"{words.replace(chr(34), chr(34) * 2)}"\n'
            f'2025550177,sandbox,"{words.replace(chr(34), chr(34) * 2)} x",\n'.encode()), "a.csv")),
    ]  # fmt: skip
    for page in pages:
        assert "<script>alert" not in page
        assert "<img" not in page.replace('<img src="/phone/icon.svg', "")
        assert "49" not in page or "{{" not in words
        assert "\x00" not in page
    if "<" not in words and "\x00" not in words:
        assert f'<bdi class="text" dir="auto">{words}</bdi>'.replace("'", "&#39;") in pages[0]


def many(count: int) -> list[dict[str, Any]]:
    return [
        {
            "number": f"+1202{5_550_000 + i}",
            "carrier": "sandbox",
            "description": f"Desk {i % 7}",
            "extensions": [str(200 + i % 30)],
        }
        for i in range(count)
    ]


@pytest.mark.parametrize("sort", ["", "sort=description", "sort=description&down=1", "down=1"])
def test_pages_go_by_key_forth_and_back(make_operator: Make, sort: str) -> None:
    operator = make_operator(*many(130))
    seen: list[list[str]] = []
    path = f"{PAGE}?{sort}"
    while True:
        page = operator.get(path)
        seen.append(numbers(page))
        on = re.search(r'href="/admin([^"]+)" rel="next"', page)
        if on is None:
            break
        path = on[1].replace("&amp;", "&")
    assert [len(rows) for rows in seen] == [50, 50, 30]
    assert len({number for rows in seen for number in rows}) == 130
    back = re.search(r'href="/admin([^"]+)" rel="prev"', page)
    assert back
    assert numbers(operator.get(back[1].replace("&amp;", "&"))) == seen[1]
    operator.gateway.settings.remove(seen[0][-1])
    assert numbers(operator.get(path)) == seen[2], "a row that went moves nobody's page"


def test_an_address_says_what_is_listed_and_nothing_else(operator: Operator) -> None:
    strange = "?q=&number=1&endpoint=x&_external=1&_scheme=javascript&_anchor=x&sort=nothing"
    page = operator.get(f"{PAGE}{strange}")
    assert "javascript" not in page
    assert numbers(page) == [NUMBER, SALES["number"]]
    answer = operator.client.post(
        f"/admin{PAGE}/{NUMBER}/enabled{strange}",
        data={"csrf": operator.key(), "enabled": "no", "generation": generation(operator)},
    )
    assert (answer.status_code, answer.location) == (303, f"/admin{PAGE}?sort=nothing")


def test_search_and_sort_work_by_address_alone(operator: Operator) -> None:
    assert numbers(operator.get(f"{PAGE}?q=555-0160")) == [SALES["number"]]
    assert numbers(operator.get(f"{PAGE}?carrier=bandwidth")) == [SALES["number"]]
    assert numbers(operator.get(f"{PAGE}?sort=description&down=1")) == [SALES["number"], NUMBER]
    assert 'aria-sort="descending"' in operator.get(f"{PAGE}?sort=description&down=1")
    assert "No number like this." in plain(operator.get(f"{PAGE}?q=zzz"))


# CSV files


def test_what_is_exported_imports_without_a_difference(operator: Operator) -> None:
    answer = operator.client.get(f"/admin{PAGE}.csv")
    assert answer.content_type.startswith("text/csv")
    assert "attachment" in answer.headers["Content-Disposition"]
    assert answer.data == csv_format.write_csv(operator.gateway.settings.all())
    page = plain(operator.post(f"{PAGE}/import", 200, file=(BytesIO(answer.data), "a.csv")))
    assert "2 unchanged" in page
    assert "There is nothing to import" in page


def field_of(page: str, name: str) -> str:
    found = re.findall(rf'name="{name}" value="([^"]+)"', page)
    return str(found[-1])


def test_an_import_is_previewed_before_it_changes_anything(operator: Operator) -> None:
    before = operator.gateway.settings.document()
    content = b"DID,Extension,Carrier,Color\n2025550100,205,,red\n2025550177,301,sandbox,\n"
    page = operator.post(f"{PAGE}/import", 200, file=(BytesIO(content), "a.csv"))
    for words in ("1 number added", "1 changed", "0 refused", "201 → 205", "columns: Color"):
        assert words in plain(page)
    assert operator.gateway.settings.document() == before
    sent = {name: field_of(page, name) for name in ("generation", "sheet")}
    operator.gateway.settings.put(SALES | {"description": "Theirs"})
    page = operator.post(f"{PAGE}/import/apply", 409, **sent)
    assert "Somebody else has changed" in plain(page)
    assert operator.gateway.settings.for_number("+12025550177") is None
    sent["generation"] = field_of(page, "generation")
    page = operator.post(f"{PAGE}/import/apply", **sent)
    assert "Imported: 1 number added, 1 changed." in plain(page)
    assert [e.extensions for e in operator.gateway.settings.all()] == [("205",), ("203",), ("301",)]


def test_a_csv_file_with_refused_lines_cannot_be_imported(operator: Operator) -> None:
    content = b"number,carrier\n2025550177,sandbox\n2025550178,<b>\n"
    page = operator.post(f"{PAGE}/import", 200, file=(BytesIO(content), "a.csv"))
    assert "1 refused" in plain(page)
    assert re.search(r"3 \S+ ?\S+ refused Carrier: Unknown carrier", plain(page))
    assert 'name="sheet"' not in page


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "No column is the “Phone Number”"), (b"\xff", "CSV UTF-8"),
     (b"number\n" + b"2025550100\n" * 9, "The file is larger than")],
)  # fmt: skip
def test_a_file_that_cannot_be_read(
    operator: Operator, monkeypatch: pytest.MonkeyPatch, content: bytes, words: str
) -> None:
    monkeypatch.setattr(csv_format, "MOST_BYTES", 100)
    page = operator.post(f"{PAGE}/import", 422, file=(BytesIO(content), "a.csv"))
    assert words in plain(page)


def test_what_does_not_come_back_whole_imports_nothing(operator: Operator) -> None:
    before = operator.gateway.settings.document()
    assert "Choose a file first." in plain(operator.post(f"{PAGE}/import", 422))
    for broken in ("", "!", "YWJj", "é"):
        page = operator.post(
            f"{PAGE}/import/apply", 422, sheet=broken, generation=generation(operator)
        )
        assert "upload was incomplete" in plain(page)
    answer = operator.client.post(f"/admin{PAGE}/import", data={"file": "x" * 6_200_000})
    assert answer.status_code == 413
    assert operator.gateway.settings.document() == before
