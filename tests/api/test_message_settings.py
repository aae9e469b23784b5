"""Message Settings in the API: for the operator alone; concurrent edits are refused."""

from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from services.operations.settings_source import FILE
from tests.api.conftest import API, MINE, Service

PASSWORD = "a good password"
PATH = f"{API}/message-settings"
NEW = "+12025550177"
ENTRY = {
    "carrier": "sandbox",
    "extensions": ["301"],
    "emails": ["a@example.com"],
    "sender_id": None,
    "description": "New",
    "enabled": True,
    "aliases": [],
}


def basic(user: str = "admin", password: str = PASSWORD) -> dict[str, str]:
    return {"Authorization": "Basic " + b64encode(f"{user}:{password}".encode()).decode()}


class Script:
    """A script of the operator's."""

    def __init__(self, service: Service) -> None:
        self.service = service

    def call(
        self, method: str, path: str = "", tag: str | None = None, **more: Any
    ) -> TestResponse:
        headers = basic() | ({"If-Match": tag} if tag else {})
        return self.service.client.open(PATH + path, method=method, headers=headers, **more)

    def put(self, number: str, tag: str | None = None, /, **entry: Any) -> TestResponse:
        return self.call("PUT", f"/{number}", tag, json=ENTRY | entry)


@pytest.fixture
def script(make_service: Callable[..., Service], database: str) -> Script:
    return Script(make_service(ADMIN_PASSWORD=PASSWORD, DATABASE_URL=database))


def test_a_number_is_added_read_changed_and_removed(script: Script) -> None:
    made = script.put("(202) 555-0177")
    assert (made.status_code, made.json) == (201, {"number": NEW, **ENTRY})
    shown = script.call("GET", f"/{NEW}")
    assert (shown.status_code, shown.json) == (200, made.json)
    assert shown.headers["ETag"] == made.headers["ETag"]
    changed = script.put(NEW, number="1-202-555-0177", extensions=[], enabled=False)
    assert (changed.status_code, changed.json["extensions"]) == (200, [])
    listed = script.call("GET")
    assert [item["number"] for item in listed.json["items"]][-1] == NEW
    assert len(listed.json["items"]) == 4
    assert listed.json["problem"] is None
    assert [i["number"] for i in script.call("GET", "?q=front desk").json["items"]] == [MINE]
    assert script.call("DELETE", f"/{NEW}").status_code == 204
    for method in ("GET", "DELETE"):
        assert script.call(method, f"/{NEW}").status_code == 404


def test_a_stale_state_changes_nothing(script: Script) -> None:
    seen = script.call("GET", f"/{MINE}").headers["ETag"]
    fresh = script.put(MINE, seen, description="Theirs").headers["ETag"]
    assert fresh != seen
    before = script.call("GET").json
    for answer in (script.put(MINE, seen), script.call("DELETE", f"/{MINE}", seen)):
        assert (answer.status_code, answer.json["code"]) == (412, "stale")
    assert script.put(NEW, "*").status_code == 412
    assert script.call("GET").json == before
    assert script.put(MINE, "*").status_code == 200
    after = script.call("GET").headers["ETag"]
    assert script.call("DELETE", f"/{MINE}", after).status_code == 204


BAD: list[tuple[str, dict[str, Any], str]] = [
    (NEW, {"carrier": "carrot"}, "carrier"),
    (NEW, {"carrier": None}, "carrier"),
    (NEW, {"extensions": ["1", "2 3"]}, "extensions[1]"),
    (NEW, {"extensions": "201"}, "extensions"),
    (NEW, {"extensions": [201]}, "extensions[0]"),
    (NEW, {"emails": ["nobody"]}, "emails[0]"),
    (NEW, {"sender_id": "x" * 33}, "sender_id"),
    (NEW, {"description": "x" * 201}, "description"),
    (NEW, {"enabled": "yes"}, "enabled"),
    (NEW, {"number": MINE}, "number"),
    (NEW, {"extension": "201"}, "extension"),
    ("nonsense", {}, "number"),
]


@pytest.mark.parametrize(("number", "wrong", "field"), BAD)
def test_bad_input_is_refused_by_its_field(
    make_service: Callable[..., Service], number: str, wrong: dict[str, Any], field: str
) -> None:
    script = Script(make_service(ADMIN_PASSWORD=PASSWORD))
    before = script.service.gateway.settings.document()
    answer = script.put(number, **wrong)
    assert answer.status_code == 422
    assert answer.mimetype == "application/problem+json"
    assert answer.json["field"].replace(".0", "[0]") == field
    assert script.put(NEW, "x").json["field"] == "If-Match"
    assert script.service.gateway.settings.document() == before


def test_a_broken_document_is_told_and_not_touched(
    make_service: Callable[..., Service], tmp_path: Path
) -> None:
    script = Script(make_service(ADMIN_PASSWORD=PASSWORD))
    (tmp_path / FILE).write_text('{"numbers": [')
    told = script.call("GET").json
    assert "line 1, column 14" in told["problem"]
    assert len(told["items"]) == 3
    for answer in (script.put(NEW), script.call("DELETE", f"/{MINE}")):
        assert (answer.status_code, answer.json["code"]) == (409, "settings_broken")
        assert "Fix the file first." in answer.json["detail"]
    assert (tmp_path / FILE).read_text() == '{"numbers": ['


@pytest.mark.parametrize(
    "headers",
    [{}, basic(password="wrong"), basic(password=""), basic("root"), basic("", ""),
     {"Authorization": "Basic x"}, {"Authorization": f"Bearer {PASSWORD}"}],
)  # fmt: skip
def test_nobody_but_the_operator_is_let_in(
    make_service: Callable[..., Service], headers: dict[str, str]
) -> None:
    service = make_service(ADMIN_PASSWORD=PASSWORD)
    answer = service.client.get(PATH, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic")
    device = service.pair("201")
    assert device.get("/message-settings").status_code == 401


def test_without_a_password_or_from_other_addresses_it_is_not_found(
    make_service: Callable[..., Service],
) -> None:
    closed = make_service()
    for headers in ({}, basic(), basic(password="")):
        answer = closed.client.get(PATH, headers=headers)
        assert (answer.status_code, answer.json["code"]) == (403, "forbidden")
        assert "ADMIN_PASSWORD" in answer.json["detail"]
    far = make_service(ADMIN_PASSWORD=PASSWORD, ADMIN_ALLOW="192.0.2.0/24")
    answer = far.client.get(PATH, headers=basic())
    assert (answer.status_code, "ADMIN_ALLOW" in answer.json["detail"]) == (403, True)


def test_wrong_passwords_are_slowed_down(make_service: Callable[..., Service]) -> None:
    service = make_service(ADMIN_PASSWORD=PASSWORD)
    guesses = [service.client.get(PATH, headers=basic(password=f"guess {i}")) for i in range(12)]
    assert guesses[0].status_code == 401
    assert guesses[-1].status_code == 429
    assert guesses[-1].headers["Retry-After"]
