"""The page of rules: lists them, and says what they would do with a text."""

import json
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from html import unescape
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from services.message_settings.example_rules import NUMBER as NUMBER_OF_EXAMPLES
from services.message_settings.example_rules import example_rules, with_example
from tests.admin.conftest import Operator, plain
from tests.core.test_calendar_file import event
from tests.message_steps import receive_text, stored_messages

PRACTICE = Path(__file__).parents[1] / "data" / "rules" / "practice.json"


def test_the_page_shows_and_tries_them(
    make_operator: Callable[..., Operator],
) -> None:
    operator = make_operator(APP_TIMEZONE="America/New_York")
    assert "No inbound rule" in plain(operator.get("/rules"))
    operator.gateway.settings.put_document(PRACTICE.read_bytes())
    listed = plain(operator.get("/rules"))
    assert "Night +1 202-555-0143 anybody any text outside office" in listed
    query: dict[str, Any] = {"from": "+13035550177", "to": "+12025550143", "text": "hello"}
    answer = operator.client.get("/admin/rules", query_string=query | {"at": "2026-11-30 22:00"})
    tried = plain(answer.text)
    assert "Boss : The sender is not +13035550111" in tried
    assert "Night : matches." in tried
    assert "Decided by Night" in tried
    assert "We open at 8." in tried
    wrong = operator.client.get("/admin/rules", query_string=query | {"at": "<b>"})
    assert "“&lt;b&gt;” is no time" in wrong.text
    for at in ("0001-01-01", "9999-12-31T23:59-14:00"):
        odd = operator.client.get("/admin/rules", query_string=query | {"at": at})
        assert (odd.status_code, f"“{at}” is no time" in odd.text) == (wrong.status_code, True)


def edit(operator: Operator, text: str, status: int, generation: str | None = None) -> str:
    known = operator.gateway.settings.generation if generation is None else generation
    return operator.post("/rules", status, rules=text, generation=known)


def test_rules_are_edited_on_the_page(make_operator: Callable[..., Operator]) -> None:
    operator = make_operator()
    operator.gateway.settings.put_document(PRACTICE.read_bytes())
    numbers = operator.gateway.settings.all()
    before = operator.gateway.settings.generation
    rule = {"name": "Only one", "reply": "Hello & <welcome>"}
    page = edit(operator, json.dumps({"inbound": [rule]}), 303)
    assert "The rules are saved, and in force." in plain(page)
    assert "Hello &amp; &lt;welcome&gt;" in page
    assert [one.name for one in operator.gateway.settings.rules.inbound] == ["Only one"]
    assert operator.gateway.settings.all() == numbers
    late = rule | {"name": "Late", "keywords": ["price"]}
    page = edit(operator, json.dumps({"inbound": [rule, late]}), 303)
    assert "The rule “Late” never decides: “Only one” above it matches" in plain(page)
    stale = edit(operator, "{}", 409, before)
    assert "Somebody else has changed Message Settings meanwhile." in plain(stale)
    edit(operator, "{}", 303)
    assert not operator.gateway.settings.rules.inbound


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "line 1, column 2: this is not JSON"),
        ("[]", "Write an object"),
        (
            '{\n"inbound": [\n{"name": "A",\n "when": "inside x"}]}',
            "line 4: inbound[0].when: No hours",
        ),
        ('{\n"colour": 1}', "line 2: colour: There is no such field"),
        ('{"inbound": [{"name": "A", "to": ["+12025550111"]}]}', "not in Message Settings"),
    ],
)
def test_a_mistake_is_told_and_what_was_written_stays(
    make_operator: Callable[..., Operator], text: str, complaint: str
) -> None:
    operator = make_operator()
    page = edit(operator, text, 422)
    assert complaint in plain(page)
    assert unescape(page).count(text) >= 1
    assert not operator.gateway.settings.rules.inbound


def test_the_trial_says_until_when_an_answer_would_wait(
    make_operator: Callable[..., Operator],
) -> None:
    operator = make_operator(SCHEDULED_US_HOURS="true", SCHEDULED_ANSWERS_WAIT="true")
    entry = {"number": "+12025550100", "carrier": "sandbox", "extensions": ["201"]}
    document = {"version": 2, "numbers": [entry], "inbound": [{"name": "A", "reply": "Closed."}]}
    operator.gateway.settings.put_document(json.dumps(document).encode())
    asked = "from=%2B13035550177&to=%2B12025550100&text=hi&at=2026-11-30T23:30-07:00"
    page = plain(operator.get(f"/rules?{asked}"))
    assert "It waits until" in page
    assert "Quiet hours in Colorado until 08:00 (America/Denver)." in page


def test_the_trial_says_that_a_sender_has_opted_out(make_operator: Callable[..., Operator]) -> None:
    operator = make_operator()
    entry = {"number": "+12025550100", "carrier": "sandbox", "extensions": ["201"]}
    document = {"version": 2, "numbers": [entry], "inbound": [{"name": "A", "reply": "Closed."}]}
    operator.gateway.settings.put_document(json.dumps(document).encode())
    asked = "from=%2B13035550177&to=%2B12025550100&text=hi"
    assert "Not sent" not in plain(operator.get(f"/rules?{asked}"))
    receive_text(operator.gateway, "STOP")
    page = plain(operator.get(f"/rules?{asked}"))
    assert "Not sent: +13035550177 has opted out of texts from +12025550100" in page


def test_an_owner_is_set_on_the_page_of_a_message(make_operator: Callable[..., Operator]) -> None:
    operator = make_operator()
    entry = {"number": "+12025550100", "carrier": "sandbox", "extensions": ["201", "202"]}
    operator.gateway.settings.put(entry)
    receive_text(operator.gateway)
    (message,) = stored_messages(operator.gateway)
    path = f"/messages/{message.id}"
    page = operator.post(f"{path}/assign", owner="202", done="on")
    assert 'value="202"' in page
    assert 'name="done" checked' in page
    page = operator.post(f"{path}/assign", owner="")
    assert 'value="202"' not in page
    assert 'name="done" checked' not in page
    refused = operator.post(f"{path}/assign", 422, owner="209")
    assert "Extension 209 does not have +12025550100" in plain(refused)


@pytest.mark.parametrize("position", range(len(example_rules())))
def test_each_example_is_filled_in_and_can_be_saved(
    make_operator: Callable[..., Operator], position: int
) -> None:
    operator = make_operator()
    settings = operator.gateway.settings
    settings.put({"number": "+442071838750", "carrier": "sandbox", "extensions": ["201"]})
    sales = {"sales": {"extensions": ["9"]}}
    kept = {"inbound": [{"name": "Night", "reply": "Mine"}], "groups": sales}
    settings.put_sections(kept)
    written = json.dumps(settings.rule_sections)
    seen = settings.generation
    page = operator.post("/rules", 200, rules=written, generation=seen, example=str(position))
    example = example_rules()[position]
    place = "above" if example.comes_first else "below"
    assert f"“{example.title}” stands {place} the other rules;" in plain(page)
    assert settings.generation == seen
    found = re.search(r"<textarea[^>]*>(.*?)</textarea>", page, re.DOTALL)
    assert found
    filled = unescape(found[1])
    assert NUMBER_OF_EXAMPLES not in filled
    edit(operator, filled, 303, seen)
    names = [rule.name for rule in settings.rules.inbound]
    assert names[-1 if example.comes_first else 0] == "Night"
    assert len(names) == 1 + len(example.sections["inbound"])
    assert settings.sections["groups"] == sales


def test_holidays_decide_before_the_night_and_keep_the_dates_that_are_there() -> None:
    night, holidays = (
        next(one for one in example_rules() if one.title == title)
        for title in ("An answer outside the hours", "Holidays")
    )
    written = with_example({}, night, None)
    written["hours"]["office"]["closed"] = ["2026-07-04"]
    whole = with_example(written, holidays, None)
    assert [rule["name"] for rule in whole["inbound"]] == ["Holiday", "Night"]
    assert whole["hours"]["office"] == written["hours"]["office"] | {
        "closed": ["2026-07-04", *holidays.sections["hours"]["office"]["closed"]]
    }


def test_an_example_does_not_hide_a_mistake(make_operator: Callable[..., Operator]) -> None:
    operator = make_operator()
    page = operator.post("/rules", 422, rules="{", generation="", example="0")
    assert "line 1, column 2: this is not JSON" in plain(page)
    for strange in ('{"inbound": 1}', '{"hours": []}', '{"inbound": null}'):
        page = operator.post("/rules", 422, rules=strange, generation="", example="0")
        assert "Nothing was added" in plain(page)
        assert strange in unescape(page)
    operator.post("/rules", 404, rules="{}", generation="", example="99")


def test_holidays_of_a_calendar_are_shown_before_they_are_saved(
    make_operator: Callable[..., Operator],
) -> None:
    operator = make_operator()
    settings = operator.gateway.settings
    assert "Add “hours” to the text below first." in plain(operator.get("/rules"))
    settings.put_document(PRACTICE.read_bytes())
    before = settings.rules.hours["office"].closed

    def upload(content: bytes, status: int = 200, hours: str = "office") -> str:
        file = (BytesIO(content), "holidays.ics")
        return operator.post("/rules/holidays", status, hours=hours, calendar=file)

    year = datetime.now(UTC).year + 1
    page = upload(event(f"DTSTART;VALUE=DATE:{year}0704", title="<b>4 July</b>"))
    assert "1 date of the calendar, 1 new, under “office”" in plain(page)
    assert f"{year}-07-04 &lt;b&gt;4 July&lt;/b&gt;" in page.replace(
        '<bdi class="text" dir="auto">', ""
    )
    assert settings.rules.hours["office"].closed == before
    written = re.search(r"<textarea[^>]*>(.*?)</textarea>", page, re.DOTALL)
    generation = re.search(r'name="generation" value="([^"]+)"', page)
    assert written
    assert generation
    edit(operator, unescape(written[1]), 303, generation[1])
    assert settings.rules.hours["office"].closed == before | {date(year, 7, 4)}

    lunch = event(f"DTSTART:{year}0705T120000Z", f"DTEND:{year}0705T130000Z", title="Lunch")
    assert "It has no holiday from" in plain(upload(lunch, 422))
    assert "no calendar file" in plain(upload(b"<html>", 422))
    assert "No hours are named “nine”. Write one of office, berlin" in plain(
        upload(lunch, 422, "nine")
    )
    nothing = operator.post("/rules/holidays", 422, hours="office")
    assert "Choose a file first." in plain(nothing)
