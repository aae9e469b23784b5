"""Names of extensions in the API: the own one, those of colleagues, and the operator's calls."""

import base64
from typing import Any

from tests.api.conftest import API, MINE, SHARED, Phone, Service

PASSWORD = "a good password"


def settings_call(service: Service, method: str, path: str = "", **options: Any) -> Any:
    key = base64.b64encode(f"admin:{PASSWORD}".encode()).decode()
    headers = {"Authorization": f"Basic {key}", **options.pop("headers", {})}
    address = f"{API}/message-settings{path}"
    return service.client.open(address, method=method, headers=headers, **options)


def test_names_are_put_and_shown(make_service: Any) -> None:
    service: Service = make_service(ADMIN_PASSWORD=PASSWORD)
    phone = service.pair("201")
    assert phone.read("/me")["name"] == ""
    assert phone.read("/extensions")["items"] == [
        {"extension": "201", "name": "", "numbers": [MINE, SHARED]},
        {"extension": "202", "name": "", "numbers": [SHARED]},
    ]
    for extension, name in (("201", " Ann Example "), ("777", "Gone")):
        answer = settings_call(service, "PUT", f"/extensions/{extension}", json={"name": name})
        assert answer.json == {"extension": extension, "name": name.strip()}
    named = settings_call(service, "GET", "/extensions")
    assert named.json["items"] == [
        {"extension": "201", "name": "Ann Example"},
        {"extension": "777", "name": "Gone"},
    ]
    assert phone.read("/me")["name"] == "Ann Example"
    assert [(one["extension"], one["name"]) for one in phone.read("/extensions")["items"]] == [
        ("201", "Ann Example"),
        ("202", ""),
        ("777", "Gone"),
    ]
    assert settings_call(service, "PUT", "/extensions/777", json={"name": ""}).json["name"] == ""
    assert len(phone.read("/extensions")["items"]) == 2
    stale = {"If-Match": named.headers["ETag"]}
    asked = {"name": "Eve"}
    assert (
        settings_call(service, "PUT", "/extensions/201", json=asked, headers=stale).status_code
        == 412
    )


def test_a_name_can_be_seen_and_does_not_turn_the_text_around_it(make_service: Any) -> None:
    service: Service = make_service(ADMIN_PASSWORD=PASSWORD)
    turned = settings_call(service, "PUT", "/extensions/202", json={"name": "\u202egnp.exe"})
    assert turned.json["name"] == "\ufffdgnp.exe"
    for name, words in (("\u200b", "can be seen"), ("x" * 90, "80"), ("x" * 101, "80")):
        refused = settings_call(service, "PUT", "/extensions/202", json={"name": name})
        assert refused.status_code == 422
        assert words in refused.json["detail"]


def test_names_stay_where_rules_are_replaced(make_service: Any) -> None:
    service: Service = make_service(ADMIN_PASSWORD=PASSWORD)
    settings_call(service, "PUT", "/extensions/201", json={"name": "Ann"})
    rules: dict[str, Any] = {"inbound": [{"name": "Hello", "reply": "Hi."}]}
    assert settings_call(service, "PUT", "/rules", json=rules).status_code == 200
    assert len(settings_call(service, "GET", "/extensions").json["items"]) == 1
    rules["extensions"] = {}
    assert settings_call(service, "PUT", "/rules", json=rules).status_code == 200
    assert settings_call(service, "GET", "/extensions").json["items"] == []


def test_what_is_no_name_is_refused(make_service: Any) -> None:
    service: Service = make_service(ADMIN_PASSWORD=PASSWORD)
    for extension, asked, field in (
        ("201", {}, "name"),
        ("201", {"name": "x" * 81}, "name"),
        ("201", {"name": "Ann\nExample"}, "name"),
        ("201", {"name": 7}, "name"),
        ("2%2001", {"name": "Ann"}, "extension"),
    ):
        answer = settings_call(service, "PUT", f"/extensions/{extension}", json=asked)
        assert (answer.status_code, answer.json["field"]) == (422, field), answer.text
    assert settings_call(service, "GET", "/extensions").json["items"] == []


def test_names_stand_in_sentences(phone: Phone, service: Service) -> None:
    settings = service.gateway.settings
    settings.change_extensions(lambda _: {"202": {"name": "Bob Example"}})
    service.receive()
    conversation = phone.read("/conversations")["items"][0]["id"]
    answer = phone.post(f"/conversations/{conversation}/assign", {"owner": "202"})
    assert answer.status_code == 422
    assert answer.json["detail"].startswith(f"Bob Example does not have {MINE}")
