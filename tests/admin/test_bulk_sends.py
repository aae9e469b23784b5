"""The administrator's pages and commands of bulk sends."""

import re
from collections.abc import Callable
from html import unescape
from io import BytesIO
from typing import Any

import pytest

from services.store import bulk_sends
from tests.admin.conftest import Operator, plain
from tests.conftest import AT_ANY_HOUR, NUMBER_ENTRY, PEER
from tests.message_steps import receive_text, stored_messages

CSV = f"number,name\n{PEER},Eve\n303-555-0188,Ann <b>\n12,Al\n"
FORM = {"name": "Closed <i>", "extension": "201", "text": "Closed on Friday, {name}."}


@pytest.fixture
def operator(make_operator: Callable[..., Operator]) -> Operator:
    return make_operator(NUMBER_ENTRY, BULK_SENDING="true", APP_TIMEZONE="UTC", **AT_ANY_HOUR)


def preview(operator: Operator, csv: str = CSV, status: int = 200, **typed: Any) -> str:
    file = (BytesIO(csv.encode("utf-8-sig")), "people.csv")
    return operator.post("/bulk-sends/new", status, **FORM | typed, file=file)


def hidden(page: str) -> dict[str, str]:
    """The fields that a preview's form keeps."""
    kept = dict(re.findall(r'<textarea name="(\w+)" hidden>\n(.*?)</textarea>', page, re.DOTALL))
    kept |= dict(re.findall(r'type="hidden" name="(\w+)" value="(.*?)"', page))
    return {name: unescape(value) for name, value in kept.items() if name != "csrf"}


def sent(operator: Operator) -> str:
    """The results page of a bulk send to two people."""
    page = preview(operator, skip_invalid="1")
    assert "Send to 2 recipients" in plain(page)
    shown = operator.post("/bulk-sends", **hidden(page))
    operator.post("/bulk-sends", **hidden(page))  # once more: nothing more is sent
    return shown


def test_it_is_previewed_then_sent_once(operator: Operator) -> None:
    page = preview(operator)
    assert "Send to" not in plain(page)
    assert "Leave these lines out" in plain(page)
    assert "does not say how to opt out" in plain(page)
    assert "Closed on Friday, Eve." in plain(page)
    assert stored_messages(operator.gateway) == []
    page = sent(operator)
    assert "2 texts will be sent" in plain(page)
    assert "1 left out" in plain(page)
    assert "<i>" not in page
    assert len(stored_messages(operator.gateway)) == 2
    assert {one.text for one in stored_messages(operator.gateway)} == {
        "Closed on Friday, Eve.",
        "Closed on Friday, Ann <b>.",
    }
    assert "Closed &lt;i&gt;" in operator.get("/bulk-sends")


@pytest.mark.parametrize(
    ("typed", "csv", "words"),
    [
        ({"text": "Hello {first}"}, CSV, "no such field"),
        ({"text": " "}, CSV, "Write the text"),
        ({"name": ""}, CSV, "Give it a name"),
        ({"extension": "999"}, CSV, "has no number"),
        ({"sender": "+12025550199"}, CSV, "is not a number of yours"),
        ({"send_at": "tomorrow"}, CSV, "Give a time"),
        ({"send_at": "2001-01-31T09:00"}, CSV, "This time is over"),
        ({}, "name\nEve", "No column is “number”"),
        ({}, "number,name\n", "at least one"),
        ({}, "number\n" + "1\n" * 101_000, "larger than 200 kB"),
    ],
)
def test_what_is_wrong_is_said_beside_what_was_typed(
    operator: Operator, typed: dict[str, str], csv: str, words: str
) -> None:
    page = preview(operator, csv, 422, **typed)
    assert words in plain(page)
    assert f'value="{typed.get("extension", "201")}"' in page
    assert stored_messages(operator.gateway) == []


def test_a_file_that_is_missing_or_no_text_is_refused(operator: Operator) -> None:
    assert "Choose a CSV file" in plain(operator.post("/bulk-sends/new", 422, **FORM))
    file = (BytesIO(b"number\n\xff\xfe\xfd"), "x.csv")
    page = operator.post("/bulk-sends/new", 422, **FORM, file=file)
    assert "not in UTF-8" in plain(page)


def test_results_are_filtered_exported_and_the_rest_cancelled(operator: Operator) -> None:
    sent(operator)
    store = operator.gateway.store
    [made] = store.read(lambda tx: bulk_sends.page(tx, limit=9))
    receive_text(operator.gateway, "STOP")
    operator.gateway.bulk_release.release_due()
    path = f"/bulk-sends/{made.id}"
    assert "+1 303-555-0188" in plain(operator.get(f"{path}?state=queued"))
    assert "No text is in this state" in plain(operator.get(f"{path}?state=sent"))
    operator.get(f"{path}?state=odd", 404)
    operator.get(f"/bulk-sends/{made.id[:-4]}0000", 404)
    exported = operator.get(f"{path}.csv")
    assert exported.startswith("\ufeffnumber,state,code,reason")
    assert f"{PEER},cancelled,opted_out" in exported
    assert "12,left_out,invalid_number" in exported
    page = operator.post(f"{path}/cancel")
    assert "Cancelled." in plain(page)


def test_without_the_variable_there_is_nothing_of_it(
    make_operator: Callable[..., Operator],
) -> None:
    operator = make_operator(NUMBER_ENTRY)
    assert "Bulk send" not in operator.get("/")
    operator.get("/bulk-sends", 404)
