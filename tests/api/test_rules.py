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
    assert (made.status_code, made.json) == (200, PARTS)
    shown = script.call("GET", "/rules")
    assert (shown.json, shown.headers["ETag"]) == (PARTS, made.headers["ETag"])
    assert len(script.call("GET").json["items"]) == 3
    stale = script.call("PUT", "/rules", before.headers["ETag"], json={})
    assert (stale.status_code, stale.json["code"]) == (412, "stale")
    inbound = {"hours": PARTS["hours"], "inbound": PARTS["inbound"]}
    assert script.call("PUT", "/rules", json=inbound).json == {**NOTHING, **inbound}


@pytest.mark.parametrize(
    ("wrong", "code", "status"),
    [
        ({"inbound": [{"name": "A", "when": "inside x"}]}, "rules_refuse", 409),
        ({"inbound": [{"name": "A", "to": ["+12025550199"]}]}, "rules_refuse", 409),
        ({"colour": {}}, "invalid", 422),
        ({"inbound": {}}, "invalid", 422),
    ],
)
def test_wrong_ones_are_refused(script: Script, wrong: Any, code: str, status: int) -> None:
    answer = script.call("PUT", "/rules", json=wrong)
    assert (answer.status_code, answer.json["code"]) == (status, code)
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
