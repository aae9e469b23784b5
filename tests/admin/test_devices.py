"""Device pages: pairing, test push, revocation."""

import re
from collections.abc import Callable

import pytest
import responses

from services.store import devices
from tests.admin.conftest import Operator, plain
from tests.conftest import NUMBER_ENTRY

Make = Callable[..., Operator]
HOSTILE = "<script>alert(1)</script>\u202e \U0001f600" * 2


def add(operator: Operator, name: str = "Phone", extension: str = "201") -> str:
    write = operator.gateway.store.write
    return write(lambda tx: devices.add(tx, extension, name))[0].id


def test_a_phone_is_paired_with_the_code_that_is_shown(make_operator: Make) -> None:
    operator = make_operator(NUMBER_ENTRY)
    page = operator.post("/devices/pair", 200, kind="phone", extension="201", name="")
    code = re.search(r'class="code"[^>]*>([A-Z0-9-]+)<', page)
    assert code
    assert f"/phone/#code={code[1]}" in page
    assert 'src="data:image/svg+xml' in page
    assert "has no number yet" not in page
    asked = {"code": code[1], "device": {"name": "Ann’s phone", "platform": "ios"}}
    assert operator.client.post("/api/v1/pair", json=asked).status_code == 201
    assert "Ann’s phone of 201" in plain(operator.get("/devices/pair"))


def test_each_kind_of_phone_has_its_steps_beside_the_code(make_operator: Make) -> None:
    """On iPhone the app runs from the Home Screen only, and the code works once: connect there."""
    operator = make_operator(NUMBER_ENTRY)
    words = plain(operator.post("/devices/pair", 200, kind="phone", extension="201", name=""))
    places = [
        words.index(step)
        for step in (
            "Android or computer Point the phone’s camera at the code",
            "Tap “Connect”.",
            "“Turn on notifications”.",
            "iPhone or iPad Point the camera at the code. It opens in Safari: do not connect there",
            "Tap Share, then “Add to Home Screen”.",
            "Open the app from the Home Screen, enter the code below, and tap “Turn on",
        )
    ]
    assert places == sorted(places)
    token = plain(operator.post("/devices/pair", 200, kind="server", extension="201", name="Bot"))
    assert "iPhone" not in token


def test_a_token_and_an_account_are_shown_once(make_operator: Make) -> None:
    operator = make_operator(NUMBER_ENTRY)
    page = operator.post("/devices/pair", 200, kind="server", extension="201", name="Robot")
    token = re.search(r'data-copy="(tb_[^"]+)"', page)
    assert token
    headers = {"Authorization": f"Bearer {token[1]}"}
    assert operator.client.get("/api/v1/me", headers=headers).status_code == 200
    page = operator.post("/devices/pair", 200, kind="acrobits", extension="202", name="Desk")
    assert "genericSmsSendUrl" in page
    assert "Extension 202 has no number yet" in plain(page)
    listed = operator.get("/devices")
    assert token[1] not in listed
    assert "201 Robot" in plain(listed)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"extension": ""}, "An extension has up to 32"),
        ({"extension": "2 01"}, "An extension has up to 32"),
        ({"extension": "<b>"}, "An extension has up to 32"),
        ({"kind": "server", "name": ""}, "Give it a name"),
        ({"kind": "acrobits", "name": "x" * 81}, "Give it a name"),
        ({"kind": "toaster"}, "Choose one of these."),
    ],
)
def test_bad_input_is_told_at_its_field(
    operator: Operator, changes: dict[str, str], said: str
) -> None:
    given = {"kind": "phone", "extension": "201", "name": "kept"} | changes
    page = operator.post("/devices/pair", 422, **given)
    assert said in page
    assert 'aria-invalid="true"' in page
    assert "<b>" not in page
    assert not operator.gateway.store.read(devices.of)


def test_a_revoked_device_is_gone(operator: Operator) -> None:
    device_id = add(operator)
    assert "is refused from now on" in operator.post(f"/devices/{device_id}/revoke")
    assert "No device yet" in operator.get("/devices")
    operator.post(f"/devices/{device_id}/revoke", 404)
    operator.post(f"/devices/{device_id}/test", 404)


@responses.activate
@pytest.mark.parametrize(("status", "said"), [(200, "was taken"), (503, "503")])
def test_a_test_says_what_the_push_service_said(
    make_operator: Make, status: int, said: str
) -> None:
    operator = make_operator(PUSH_HOSTS="https://ntfy.example.com")
    device_id = add(operator)
    address = operator.gateway.channels["ntfy"].address(
        {"server": "https://ntfy.example.com", "topic": "textbridge-201-abcdefgh"}
    )
    operator.gateway.store.write(
        lambda tx: devices.register(tx, devices.of(tx)[0], "ntfy", address)
    )
    responses.post("https://ntfy.example.com/", status=status, json={})
    assert said in plain(operator.post(f"/devices/{device_id}/test"))
    outcome = "taken" if status == 200 else "failed"
    assert outcome in plain(operator.get("/devices"))


def test_a_device_without_push_cannot_be_tested(operator: Operator) -> None:
    assert "Notifications are off on this device" in operator.post(
        f"/devices/{add(operator)}/test", 409
    )


def test_hostile_names_stay_text(operator: Operator) -> None:
    add(operator, HOSTILE)
    for path in ("/devices", "/devices/pair", "/devices?extension=<script>alert(1)</script>"):
        assert "<script>alert" not in operator.get(path)


def test_many_devices_are_paged_and_all_are_there(operator: Operator) -> None:
    names = [f"device {number:03}" for number in range(120)]
    operator.gateway.store.write(lambda tx: [devices.add(tx, "201", name) for name in names])
    operator.gateway.store.write(lambda tx: devices.add(tx, "202", "another"))
    found, path = [], "/devices?extension=201"
    while path:
        page = operator.get(path)
        found += re.findall(r"device \d{3}(?=</bdi>)", page)
        more = re.search(r'href="/admin(/devices\?[^"]*after=[^"]+)"', page)
        path = more[1].replace("&amp;", "&") if more else ""
    assert sorted(found) == names
