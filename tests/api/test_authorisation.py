"""Authorisation in the API: every route with every wrong key and every other extension."""

import re
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from blueprints import device_auth
from blueprints.api.auth import Auth
from services.operations.login_throttle import Attempts
from services.store import devices
from tests.api.conftest import API, PEER, SHARED, Phone, Service
from tests.pictures import gif

OPEN = {"/api/v1/pair", "/api/v1/openapi.json"}
OPERATORS = {
    "/api/v1/message-settings",
    "/api/v1/message-settings/<number>",
    "/api/v1/message-settings/extensions",
    "/api/v1/message-settings/extensions/<extension>",
    "/api/v1/message-settings/rules",
    "/api/v1/message-settings/templates",
}
ELSEWHERE = re.compile("[0-9a-f]{8}-[0-9a-f-]{27}")
SOME_ID = "01a1f912-29fd-798d-b9d5-d4199fe17a55"


def routes(app: Flask) -> Iterator[tuple[str, str]]:
    """Every method and rule of the API."""
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith(API):
            for method in rule.methods or ():
                yield method, rule.rule


def filled(rule: str, identifier: str = SOME_ID) -> str:
    return re.sub("<[^>]+>", identifier, rule)


def test_every_route_declares_whom_it_admits(service: Service) -> None:
    rules = [r for r in service.app.url_map.iter_rules() if r.rule.startswith(API)]
    declared = {
        r.rule: getattr(service.app.view_functions[r.endpoint], "auth", None) for r in rules
    }
    assert len(declared) > 12
    assert all(isinstance(auth, Auth) for auth in declared.values()), declared
    assert {rule for rule, auth in declared.items() if auth is Auth.ANYBODY} == OPEN
    assert {rule for rule, auth in declared.items() if auth is Auth.OPERATOR} == OPERATORS


def test_a_route_that_declares_nothing_admits_nobody(service: Service) -> None:
    phone = service.pair("201")
    service.app._got_first_request = False
    service.app.add_url_rule(f"{API}/forgotten", "forgotten", lambda: "secret")
    assert phone.get("/forgotten").status_code == 401


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        "Bearer tb_" + "x" * 43,
        "Bearer " + "x" * 6000,
        "Bearer \xe9\xff\x80",
        "Bearer \x01",
        "Bearer a b",
        "Basic dGI6dGI=",
        "tb_token",
        "Digest username",
        "\xe9",
    ],
)
def test_every_route_refuses_a_wrong_token(
    make_service: Callable[..., Service], monkeypatch: pytest.MonkeyPatch, header: str | None
) -> None:
    unlimited = Attempts("anything", each=(), all=())
    for name in ("PASSWORD", "TOKENS"):
        monkeypatch.setattr(f"services.gateway.{name}", unlimited)
    service = make_service(ADMIN_PASSWORD="a good password")
    headers = {} if header is None else {"Authorization": header}
    for method, rule in routes(service.app):
        if rule not in OPEN:
            answer = service.client.open(filled(rule), method=method, headers=headers)
            check_refusal(answer, method, "Basic" if rule in OPERATORS else "Bearer")


def test_every_route_refuses_a_revoked_device(
    make_service: Callable[..., Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.gateway.TOKENS", Attempts("anything", each=(), all=()))
    service = make_service()
    phone = service.pair("201")
    service.gateway.store.write(lambda tx: devices.revoke(tx, phone.id))
    for method, rule in routes(service.app):
        if rule not in OPEN | OPERATORS:
            check_refusal(phone.call(method, filled(rule).removeprefix(API)), method)


def test_a_device_is_not_the_operator(make_service: Callable[..., Service]) -> None:
    service = make_service(ADMIN_PASSWORD="a good password")
    phone = service.pair("201")
    for method, rule in routes(service.app):
        if rule in OPERATORS:
            check_refusal(phone.call(method, filled(rule).removeprefix(API)), method, "Basic")


def check_refusal(answer: TestResponse, method: str, scheme: str = "Bearer") -> None:
    assert answer.status_code == 401, (method, answer.request.path)
    assert answer.headers["WWW-Authenticate"].startswith(scheme)
    if method != "HEAD":
        assert answer.mimetype == "application/problem+json"
        assert answer.json["code"] == "unauthorized"


@pytest.mark.parametrize("spelling", ["Bearer", "bearer", "BEARER", "Bearer "])
def test_the_scheme_is_read_in_any_case(phone: Phone, spelling: str) -> None:
    answer = phone.client.get(f"{API}/me", headers={"Authorization": f"{spelling} {phone.token}"})
    assert answer.status_code == 200


def test_a_token_counts_in_the_header_only(phone: Phone) -> None:
    for query in ({"token": phone.token}, {"access_token": phone.token}, {"ticket": phone.token}):
        assert phone.client.get(f"{API}/me", query_string=query).status_code == 401
        assert phone.client.get(f"{API}/events", query_string=query).status_code == 401


# Everything that one extension has, as another one sees it: as if it were not there.


def mine(service: Service, phone: Phone) -> list[tuple[str, str, dict[str, Any]]]:
    """Calls that concern what belongs to 201 alone."""
    service.receive(text="canary")
    (conversation,) = phone.read("/conversations")["items"]
    upload = phone.post("/media", data={"file": (BytesIO(gif()), "a.gif")}).json["id"]
    sent = phone.send(to=PEER, text="canary", media_ids=[upload])
    loose = phone.post("/media", data={"file": (BytesIO(gif()), "b.gif")}).json["id"]
    at = f"/conversations/{conversation['id']}"
    return [
        ("GET", at, {}),
        ("GET", f"{at}/messages", {}),
        ("POST", f"{at}/read", {"json": {"up_to_seq": 1}}),
        ("POST", "/messages", {"json": {"conversation_id": conversation["id"], "text": "x"}}),
        ("GET", f"/messages/{conversation['last_message']['id']}", {}),
        ("GET", f"/messages/{sent['id']}", {}),
        ("GET", f"/media/{upload}", {}),
        ("GET", f"/media/{loose}", {}),
        ("PUT", f"/devices/{phone.id}", {"json": {"name": "x"}}),
        ("DELETE", f"/devices/{phone.id}", {}),
    ]


def test_what_belongs_to_another_extension_is_not_there(service: Service, phone: Phone) -> None:
    calls = mine(service, phone)
    other = service.pair("202")
    for method, path, options in calls:
        foreign = other.call(method, path, **options)
        absent = other.call(method, ELSEWHERE.sub(str(uuid4()), path), **elsewhere(options))
        assert foreign.status_code == 404, (method, path, foreign.text)
        assert foreign.data == absent.data, "it can be told from one that does not exist"
    assert "canary" not in str([other.read(p) for p in ("/conversations", "/me", "/devices")])
    assert other.read("/sync", since="0")["events"] == []
    assert other.read("/search", q="canary")["items"] == []


def elsewhere(options: dict[str, Any]) -> dict[str, Any]:
    """The same call for something that does not exist at all."""
    asked = options.get("json")
    if asked and "conversation_id" in asked:
        return {"json": asked | {"conversation_id": str(uuid4())}}
    return options


def test_the_owner_may_do_all_of_it(service: Service, phone: Phone) -> None:
    """Else the test above proves nothing."""
    calls = mine(service, phone)
    assert len(phone.read("/search", q="canary")["items"]) == 2
    for method, path, options in calls:
        answer = phone.call(method, path, **options)
        assert answer.status_code in (200, 202, 204), (method, path, answer.text)
        answer.close()


def test_an_upload_of_another_extension_cannot_be_sent(phone: Phone, other: Phone) -> None:
    upload = phone.post("/media", data={"file": (BytesIO(gif()), "a.gif")}).json["id"]
    answer = other.post("/messages", {"to": PEER, "media_ids": [upload]})
    assert (answer.status_code, answer.json["code"]) == (422, "unknown_file")


def test_a_shared_number_is_seen_by_both_and_nobody_else(service: Service) -> None:
    service.receive(to=SHARED)
    seen = [len(service.pair(e).read("/conversations")["items"]) for e in ("201", "202", "203")]
    assert seen == [1, 1, 0]


# Pairing and devices


def test_a_code_is_good_once_and_its_spelling_does_not_matter(service: Service) -> None:
    code = service.gateway.store.write(lambda tx: devices.add_pairing(tx, "201"))
    asked = {"code": f" {code.lower().replace('-', ' ')} ", "device": {"name": "Phone"}}
    first = service.client.post(f"{API}/pair", json=asked)
    again = service.client.post(f"{API}/pair", json=asked)
    assert (first.status_code, again.status_code) == (201, 403)
    assert first.json["extension"] == "201"


def test_nobody_learns_why_a_code_is_wrong(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "PAIRING_SECONDS", -1.0)
    expired = service.gateway.store.write(lambda tx: devices.add_pairing(tx, "201"))
    codes = (expired, "ABCD-2345", "nonsense", "\x00", "\ud83d", "٣")
    answers = {
        service.client.post(
            f"{API}/pair",
            json={"code": code, "device": {"name": "x"}},
            environ_base={"REMOTE_ADDR": f"192.0.2.{at}"},
        ).data
        for at, code in enumerate(codes)
    }
    assert len(answers) == 1
    assert b"wrong_code" in answers.pop()


def test_devices_are_listed_renamed_and_revoked(service: Service, phone: Phone) -> None:
    second = service.pair("201", "Tablet")
    service.pair("202")
    listed = phone.read("/devices")["items"]
    assert [(d["name"], d["platform"], d["current"]) for d in listed] == [
        ("Phone", "android", True),
        ("Tablet", "android", False),
    ]
    renamed = phone.call("PUT", f"/devices/{second.id}", json={"name": "Kitchen \x00"})
    assert renamed.json["name"] == "Kitchen \ufffd"
    assert phone.call("DELETE", f"/devices/{second.id}").status_code == 204
    assert second.get("/me").status_code == 401
    assert phone.call("DELETE", f"/devices/{second.id}").status_code == 404
    assert phone.call("DELETE", f"/devices/{phone.id}").status_code == 204
    assert phone.get("/me").status_code == 401


def test_a_call_is_noted_at_most_once_a_minute(
    service: Service, phone: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    phone.get("/me")
    writes = []
    monkeypatch.setattr(service.gateway.store, "write", writes.append)
    phone.get("/me")
    assert writes == []
    monkeypatch.setattr(device_auth, "SEEN_SECONDS", -1.0)
    phone.get("/me")
    assert len(writes) == 1


def test_every_answer_has_its_guards(service: Service, phone: Phone) -> None:
    for answer in (phone.get("/me"), phone.get("/nothing"), service.client.get(f"{API}/me")):
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Cache-Control"] == "no-store"
