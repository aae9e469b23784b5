"""Push channels by their payload files, with services that check each request."""

import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from marshmallow import ValidationError

from services.config import variables
from services.config.parsers import vapid_private_key
from services.config.sections import VapidSettings
from services.core.base64url import base64url, from_base64url
from services.core.errors import Kind, PushError
from services.core.messages import Device, Notice
from services.http.client import Http, NotSent
from services.push import CHANNELS
from services.push.base import Channel
from services.push.vapid import Vapid, contact, derived_key
from services.push.webpush.encryption import MAX_CONTENT_BYTES, encrypt
from tests.fakes.acrobits import FakeRelay
from tests.fakes.push_services import (
    Answer,
    BrowserPush,
    Firebase,
    NtfyServer,
    PushService,
)
from tests.payload_files import FOLDER, expected
from tests.push_files import VAPID, surroundings

SERVICES = {
    "webpush": BrowserPush,
    "unifiedpush": BrowserPush,
    "ntfy": NtfyServer,
    "fcm": Firebase,
    "acrobits": FakeRelay,
}
OF_THE_OPERATOR = ("https://own.example.com", "http://10.0.0.9:8080")


def channel(name: str, service: PushService | None = None, *, hosts: bool = True) -> Channel:
    """A channel that may reach the service."""
    cls = next(cls for cls in CHANNELS if cls.name == name)
    env = service.env if isinstance(service, Firebase | FakeRelay) else {}
    settings, problems = variables.load(cls.Settings, cls.prefix, env)
    assert settings is not None, problems
    allowed = (*OF_THE_OPERATOR, *([service.url] if service is not None and hosts else []))
    return cls(settings, surroundings(Http(), *allowed))


@pytest.fixture(params=SERVICES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def service(name: str) -> Iterator[PushService]:
    with SERVICES[name]() as running:
        yield running


def device(service: PushService, preview: Any = "full") -> Device:
    return Device("d1", "201", address=service.address, preview=preview)


def notice(written: dict[str, Any]) -> Notice:
    return Notice(**{"id": "test_1", "extension": "201", "at": 1_780_000_000.25, **written})


NOTICE = notice(expected(FOLDER / "webpush" / "notify_full.json")["notice"])


def test_every_channel_for_devices_has_payloads() -> None:
    assert set(SERVICES) == {cls.name for cls in CHANNELS if cls.per_device}


def _cases(file: str) -> list[Any]:
    return [
        pytest.param(path.parent.name, case, id=f"{path.parent.name}/{path.stem}-{number}")
        for path in sorted(FOLDER.glob(f"*/{file}"))
        for number, case in enumerate(expected(path))
    ]


@pytest.mark.parametrize(
    "path",
    sorted(FOLDER.glob("*/notify_*.json")),
    ids=lambda path: f"{path.parent.name}/{path.stem}",
)
def test_a_notice_comes_in_as_the_app_is_to_see_it(path: Path) -> None:
    case = expected(path)
    with SERVICES[path.parent.name]() as service:
        pushed_to = device(service, case["preview"])
        channel(path.parent.name, service).notify(pushed_to, notice(case["notice"]))
        assert service.wrong == []
        [(headers, shown)] = service.taken
    if case.get("collapses"):
        key = headers.get("topic") or shown["android"]["collapse_key"]
        assert re.fullmatch("[A-Za-z0-9_-]{22,32}", key)
        assert case["notice"]["message"]["conversation_id"] not in key
        shown = json.loads(json.dumps(shown).replace(key, "@collapse"))
    if path.parent.name == "acrobits":  # made anew for each app
        assert (shown.pop("DeviceToken"), shown.pop("Selector")) == (
            service.address["token"],
            service.address["selector"],
        )
    assert shown == case["shown"]
    assert {header: headers.get(header) for header in case["headers"]} == case["headers"]


@pytest.mark.parametrize(("name", "case"), _cases("answers.json"))
def test_what_follows_from_an_answer(name: str, case: dict[str, Any], service: PushService) -> None:
    answer = Answer(case["status"], case.get("body", ""), case.get("headers", {}))
    service.answers.extend([answer, answer])
    with pytest.raises(PushError) as caught:
        channel(name, service).notify(device(service), NOTICE)
    assert service.wrong == []
    error = caught.value
    assert (error.kind, error.code) == (case["kind"], case.get("code", str(case["status"])))
    assert error.retry_after == case.get("wait")
    assert case.get("said", "") in error.reason
    for secret in json.dumps(service.address).split('"'):
        assert secret[:4] == "http" or len(secret) < 12 or secret not in error.reason
    assert "/push/v1/abc" not in error.reason


@pytest.mark.parametrize("kind", ["good", "bad"])
@pytest.mark.parametrize("name", SERVICES)
def test_what_a_device_may_register(name: str, kind: str) -> None:
    with Firebase() as firebase:
        opened = channel(name, firebase if name == "fcm" else None)
    for case in expected(FOLDER / name / "addresses.json")[kind]:
        if kind == "good":
            kept = opened.address(case)
            assert {**kept, "expirationTime": None} == {**case, "expirationTime": None}
            assert opened.destination(kept).startswith(f"push:{opened.name}")
            continue
        written, field = case
        with pytest.raises(ValidationError) as caught:
            opened.address(written)
        complaint: Any = caught.value.messages
        for step in field.split("."):
            assert step in complaint, (written, complaint)
            complaint = complaint[step] if isinstance(complaint, dict) else complaint
        assert str(complaint), written


def test_hosts_of_devices_wait_apart_from_each_other() -> None:
    web = channel("webpush")
    first = web.destination({"endpoint": "https://fcm.googleapis.com/fcm/send/abc"})
    assert first == "push:webpush:fcm.googleapis.com"
    assert web.destination({"endpoint": "http://10.0.0.9:8080/up"}) == "push:webpush:10.0.0.9:8080"
    assert channel("ntfy").destination({"server": "https://ntfy.sh"}) == "push:ntfy:ntfy.sh"


@pytest.mark.parametrize("name", ["webpush", "unifiedpush", "ntfy"])
def test_nothing_private_is_called_unless_the_operator_allows_it(
    name: str, service: PushService
) -> None:
    with pytest.raises(PushError) as caught:
        channel(name, service, hosts=False).notify(device(service), NOTICE)
    assert caught.value.kind is Kind.RETRY
    assert "private network" in caught.value.reason
    assert service.calls == 0


@pytest.mark.parametrize("name", ["ntfy"])
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "0.0.0.0", "10.255.255.1"])
def test_a_public_way_out_leads_nowhere_else(host: str, service: PushService) -> None:
    port = service.url.rpartition(":")[2]
    with pytest.raises(NotSent, match="private network"):
        Http(public_only=True).request("POST", f"http://{host}:{port}/")
    assert service.calls == 0


@pytest.mark.parametrize("name", ["ntfy"])
def test_a_name_that_means_another_address_a_moment_later_leads_nowhere_else(
    service: PushService, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve = socket.getaddrinfo
    answers = iter(["127.0.0.1", "127.0.0.2"])  # the second time it would be a private one

    def rebinding(host: str, *arguments: Any, **more: Any) -> Any:
        return resolve(next(answers) if host == "own.example.com" else host, *arguments, **more)

    monkeypatch.setattr("socket.getaddrinfo", rebinding)
    monkeypatch.setattr(
        "services.http.public_addresses.is_public", lambda address: address == "127.0.0.1"
    )
    answer = Http(public_only=True).request(
        "POST",
        service.url.replace("127.0.0.1", "own.example.com"),
        headers={"authorization": f"Bearer {NtfyServer.TOKEN}"},
        json={"topic": "phone_of_201", "message": "x"},
    )
    assert answer.ok


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_that_cannot_be_reached_is_tried_again(name: str) -> None:
    with SERVICES[name]() as service:
        opened, pushed_to = channel(name, service), device(service)
    with pytest.raises(PushError) as caught:
        opened.notify(pushed_to, NOTICE)
    assert (caught.value.kind, caught.value.code) == (Kind.RETRY, None)


# Web Push


@pytest.mark.parametrize("name", ["webpush"])
def test_one_subscription_that_is_not_accepted_stops_no_other(
    name: str, service: BrowserPush
) -> None:
    opened = channel(name, service)
    opened.notify(device(service), NOTICE)
    service.answers.append(Answer(403))
    with pytest.raises(PushError) as caught:
        opened.notify(device(service), NOTICE)
    assert caught.value.kind is Kind.REFUSED


@pytest.mark.parametrize("name", ["webpush"])
def test_a_proof_is_used_again_until_it_grows_old(
    name: str, service: BrowserPush, monkeypatch: pytest.MonkeyPatch
) -> None:
    vapid = Vapid(derived_key(b"k"), None)
    first = vapid.authorization(service.url)
    assert vapid.authorization(service.url) == first
    assert vapid.authorization("https://elsewhere.example.com") != first
    now = time.time()
    monkeypatch.setattr("services.push.vapid.time.time", lambda: now + 11.5 * 3600)
    assert vapid.authorization(service.url) != first


def test_every_node_has_the_same_key_pair() -> None:
    one, two = (Vapid(derived_key(b"an app key"), None).public_key for _ in range(2))
    assert one == two != Vapid(derived_key(b"another key"), None).public_key
    assert len(from_base64url(one)) == 65


# The example of RFC 8291, section 5.
RFC_8291 = {
    "p256dh": (
        "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
    ),
    "auth": "BTBZMqHH6r4Tts7J_aSIgg",
    "key": "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw",
    "salt": "DGv6ra1nlYgDCS1FRnbzlw",
    "body": (
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS"
        "6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qu"
        "lcy4a-fN"
    ),
}


def test_the_example_of_the_standard_comes_out_as_it_says() -> None:
    body = encrypt(
        b"When I grow up, I want to be a watermelon",
        RFC_8291["p256dh"],
        RFC_8291["auth"],
        key=vapid_private_key(RFC_8291["key"]),
        salt=from_base64url(RFC_8291["salt"]),
    )
    assert base64url(body) == RFC_8291["body"]


def test_a_body_fills_what_push_services_take_and_no_more() -> None:
    keys = RFC_8291["p256dh"], RFC_8291["auth"]
    assert len(encrypt(b"x" * MAX_CONTENT_BYTES, *keys)) == 4096
    with pytest.raises(ValueError, match="3993"):
        encrypt(b"x" * (MAX_CONTENT_BYTES + 1), *keys)


@pytest.mark.parametrize(
    ("subject", "app_url", "told"),
    [
        (None, "https://sms.example.com/x", "https://sms.example.com/x"),
        ("mailto:a@example.com", "http://localhost", "mailto:a@example.com"),
        *(
            (None, url, None)
            for url in (
                "http://sms.example.com",
                "https://localhost:8000",
                "https://192.0.2.1",
                "https://[::1]:8000",
                "https://pbx",
                "https://pbx.local",
            )
        ),
    ],
)
def test_we_never_call_ourselves_localhost(
    subject: str | None, app_url: str, told: str | None
) -> None:
    assert contact(subject, app_url) == told


@pytest.mark.parametrize(
    ("variable", "written", "said"),
    [
        ("PRIVATE_KEY", "AAAA", "holds 3 bytes"),
        ("PRIVATE_KEY", "ü", "base64url"),
        ("PRIVATE_KEY", "A" * 43, ""),  # nought is no key
        ("SUBJECT", "somebody", "e-mail"),
        ("SUBJECT", "http://sms.example.com", "e-mail"),
    ],
)
def test_a_wrong_setting_of_web_push_is_named(variable: str, written: str, said: str) -> None:
    settings, [problem] = variables.load(VapidSettings, "VAPID_", {f"VAPID_{variable}": written})
    assert settings is None
    assert problem.variable == f"VAPID_{variable}"
    assert said in problem.reason


def test_a_key_pair_of_before_can_be_kept() -> None:
    written = {"VAPID_PRIVATE_KEY": RFC_8291["key"], "VAPID_SUBJECT": "admin@example.com"}
    settings, problems = variables.load(VapidSettings, "VAPID_", written)
    assert problems == []
    assert settings is not None
    assert settings.private_key is not None
    assert settings.subject == "mailto:admin@example.com"
    assert RFC_8291["key"] not in repr(settings)
    assert VAPID.public_key != Vapid(settings.private_key, None).public_key


# Firebase


@pytest.fixture
def firebase() -> Iterator[Firebase]:
    with Firebase() as running:
        yield running


def test_one_sign_in_is_good_for_many_pushes(firebase: Firebase) -> None:
    opened = channel("fcm", firebase)
    for _ in range(3):
        opened.notify(device(firebase), NOTICE)
    assert len(firebase.granted) == 1
    assert len(firebase.taken) == 3


def test_a_token_that_google_forgot_is_asked_for_anew(firebase: Firebase) -> None:
    opened = channel("fcm", firebase)
    firebase.answers.append(Answer(401, '{"error": {"status": "UNAUTHENTICATED"}}'))
    opened.notify(device(firebase), NOTICE)
    assert len(firebase.granted) == 2
    assert len(firebase.taken) == 1


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Answer(400, '{"error": "invalid_grant"}'), Kind.CONFIG),
        (Answer(200, "[]"), Kind.CONFIG),
        (Answer(503), Kind.RETRY),
    ],
)
def test_a_sign_in_that_fails(firebase: Firebase, answer: Answer, kind: Kind) -> None:
    firebase.refused_sign_in = answer
    with pytest.raises(PushError) as caught:
        channel("fcm", firebase).notify(device(firebase), NOTICE)
    assert caught.value.kind is kind


def test_an_installation_id_does_as_well_as_a_token(firebase: Firebase) -> None:
    pushed_to = Device("d1", "201", address={"fid": "abc"})
    channel("fcm", firebase).notify(pushed_to, NOTICE)
    [(_, message)] = firebase.taken
    assert message["fid"] == "abc"
    assert "token" not in message


def test_the_key_file_may_be_named_or_given(firebase: Firebase, tmp_path: Path) -> None:
    file = tmp_path / "account.json"
    file.write_text(firebase.account)
    cls = next(cls for cls in CHANNELS if cls.name == "fcm")
    for written in (firebase.account, str(file)):
        settings, problems = variables.load(cls.Settings, "FCM_", {"FCM_SERVICE_ACCOUNT": written})
        assert problems == []
        assert "PRIVATE" not in repr(settings)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("/nowhere/account.json", "cannot be read"),
        ("{", "not the key file"),
        ("{}", "no private_key"),
        ('{"private_key": "x"}', ""),
    ],
)
def test_a_wrong_key_file_is_named_and_not_shown(written: str, said: str) -> None:
    cls = next(cls for cls in CHANNELS if cls.name == "fcm")
    _, [problem] = variables.load(cls.Settings, "FCM_", {"FCM_SERVICE_ACCOUNT": written})
    assert problem.variable == "FCM_SERVICE_ACCOUNT"
    assert said in problem.reason
    assert "Firebase console" in problem.remedy
    assert len(written) < 3 or written not in str(problem)


def test_nothing_of_googles_is_needed() -> None:
    code = "import services.push, sys; print([m for m in sys.modules if m.startswith('google')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
