"""Rules in the API: read and replaced as a whole by the operator, with the checks of the file."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.api.conftest import MINE, THEIRS, Service
from tests.api.test_message_settings import PASSWORD, Script

PARTS: dict[str, Any] = {
    "hours": {"office": {"mon-fri": ["08:00-12:00"]}},
    "extensions": {"201": {"name": "Ann"}},
    "groups": {"sales": {"extensions": ["201", "202"], "assign": "round-robin"}},
    "inbound": [{"name": "Night", "to": [MINE], "when": "outside office", "reply": "Later."}],
    "outbound": [{"name": "All", "from": [THEIRS]}],
}
NOTHING: dict[str, Any] = dict.fromkeys(PARTS)


@pytest.fixture
def script(make_service: Callable[..., Service]) -> Script:
    return Script(make_service(ADMIN_PASSWORD=PASSWORD))


def test_they_are_replaced_as_a_whole(script: Script) -> None:
    before = script.call("GET", "/rules")
    assert before.json == NOTHING
    made = script.call("PUT", "/rules", before.headers["ETag"], json=PARTS)
    assert (made.status_code, made.json) == (200, {**PARTS, "warnings": []})
    shown = script.call("GET", "/rules")
    assert (shown.json, shown.headers["ETag"]) == (PARTS, made.headers["ETag"])
    assert len(script.call("GET").json["items"]) == 3
    stale = script.call("PUT", "/rules", before.headers["ETag"], json={})
    assert (stale.status_code, stale.json["code"]) == (412, "stale")
    inbound = {"hours": PARTS["hours"], "inbound": PARTS["inbound"]}
    saved = script.call("PUT", "/rules", json=inbound).json
    names = {"extensions": PARTS["extensions"]}  # they stay, unless they are sent
    assert saved == {**NOTHING, **inbound, **names, "warnings": []}


def test_what_is_hardly_meant_so_is_saved_with_a_warning(script: Script) -> None:
    again = {"name": "Again", "to": [MINE]}
    saved = script.call("PUT", "/rules", json={"inbound": [again, again | {"name": "Late"}]})
    assert saved.status_code == 200
    [warning] = saved.json["warnings"]
    assert "The rule “Late” never decides: “Again” above it" in warning


@pytest.mark.parametrize(
    ("wrong", "field", "reason"),
    [
        ({"inbound": [{"name": "A", "when": "inside x"}]}, "inbound[0].when", "No hours"),
        ({"inbound": [{"name": "A", "to": ["+12025550199"]}]}, "inbound[0].to[0]", "not in"),
        ({"inbound": [{"name": "A", "keywords": [1]}]}, "inbound[0].keywords[0]", "Send a text."),
        ({"inbound": [{"name": "A", "keywords": ["x"] * 501}]}, "inbound[0].keywords", "500 items"),
        (
            {"inbound": [{"name": "A", "reply_once_hours": 0}]},
            "inbound[0].reply_once_hours",
            "Send a number from 1 to 720.",
        ),
        (
            {"inbound": [{"name": "A", "continue": "yes"}]},
            "inbound[0].continue",
            "Send true or false.",
        ),
        ({"inbound": [{}]}, "inbound[0].name", "It is missing; send it."),
        (
            {"outbound": [{"name": "A", "from": [MINE], "extensions": ["210-201"]}]},
            "outbound[0].extensions[0]",
            "Nobody is in the range 210-201",
        ),
        (
            {"outbound": [{"name": "A", "from": [MINE], "extensions": ["2 1"]}]},
            "outbound[0].extensions[0]",
            "such as 201-220",
        ),
        ({"hours": {"o": None}}, "hours.o", "It must not be null"),
        ({"colour": {}}, "colour", "There is no such field"),
        ({"inbound": {}}, "inbound", "Send a list."),
    ],
)
def test_wrong_ones_are_refused(script: Script, wrong: Any, field: str, reason: str) -> None:
    answer = script.call("PUT", "/rules", json=wrong)
    assert (answer.status_code, answer.json["code"]) == (422, "invalid")
    assert answer.json["field"] == field
    assert reason in answer.json["errors"][field][0]
    assert script.call("GET", "/rules").json == NOTHING


def test_a_number_that_a_rule_names_stays(script: Script) -> None:
    script.call("PUT", "/rules", json=PARTS)
    answer = script.call("DELETE", f"/{MINE}")
    assert (answer.status_code, answer.json["code"]) == (409, "rules_refuse")
    assert "The rule “Night” names" in answer.json["detail"]


def test_others_do_not_see_them(script: Script) -> None:
    for method in ("GET", "PUT"):
        answer = script.service.client.open("/api/v1/message-settings/rules", method=method)
        assert answer.status_code == 401
