"""Start page: setup checklist, problems, next step."""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from services.core.messages import Message, WebhookCall
from services.store import circuit_breakers, devices, quarantine
from tests.admin.conftest import Operator, plain
from tests.conftest import NUMBER, NUMBER_ENTRY, PEER
from tests.message_steps import receive_call, receive_text

Make = Callable[..., Operator]


def done(page: str) -> list[bool]:
    """Which of the steps are done."""
    return [part.startswith('"done"') for part in page.split("<li class=")[1:]]


def test_the_way_from_nothing_to_the_first_text(make_operator: Make) -> None:
    operator = make_operator()
    page = operator.get("/")
    assert done(page) == [True, True, False, False, False, False]
    assert "Open the sandbox" in page
    provider = operator.gateway.providers["sandbox"]
    call = provider.example(Message(direction="in", number=NUMBER, peer=PEER, text="hello"))
    receive_call(operator.gateway, provider, call)
    assert done(operator.get("/")) == [True, True, True, False, False, True]
    operator.gateway.settings.put(NUMBER_ENTRY)
    assert done(operator.get("/")) == [True, True, True, True, False, True]
    operator.gateway.store.write(lambda tx: devices.add(tx, "201", "Phone"))
    page = operator.get("/")
    assert done(page) == [True] * 6
    assert "Everything is set up" in page


@pytest.mark.parametrize("platform", ["web", "sandbox"])
def test_a_device_of_the_sandbox_is_no_paired_phone(make_operator: Make, platform: str) -> None:
    operator = make_operator(NUMBER_ENTRY)
    store = operator.gateway.store
    store.write(lambda tx: devices.add(tx, "201", "Sandbox", platform=platform))
    assert done(operator.get("/"))[4] is False
    store.write(lambda tx: devices.add(tx, "201", "Sandbox", platform="ios"))
    page = operator.get("/")
    assert done(page)[4] is True
    assert "1 app is paired." in page


def test_a_trouble_stands_first_with_what_leads_to_its_remedy(
    make_operator: Make, tmp_path: Path
) -> None:
    operator = make_operator(NUMBER_ENTRY)
    (tmp_path / "message_settings.json").write_text("{", encoding="utf-8")
    operator.gateway.settings.look()
    page = operator.get("/")
    assert "cannot be used" in page
    assert page.index("cannot be used") < page.index("Set-up")


def test_an_env_file_that_is_newer_is_applied_by_a_button(
    make_operator: Make, tmp_path: Path
) -> None:
    env = tmp_path / ".env"
    env.write_text("", encoding="utf-8")
    operator = make_operator(ENV_FILE=str(env), ENV_READ_AT="1")
    assert "Apply it now" in operator.get("/")
    assert "No server is running" in operator.post("/reload", status=422)


def test_every_trouble_leads_to_its_place(make_operator: Make) -> None:
    operator = make_operator()
    store = operator.gateway.store
    for name in ("send:sandbox", "push:webpush:push.example.com", "email"):
        store.write(partial(circuit_breakers.pause, name=name, until=9e9, reason=name, config=True))
    call = WebhookCall("POST", {}, "", b"{", "")
    store.write(lambda tx: quarantine.add(tx, "sandbox", call, "It is no JSON.", b"{"))
    page = operator.get("/")
    troubles = page[page.index('id="troubles"') : page.index("</section>")]
    places = re.findall(r'href="([^"]+)"', troubles)
    assert sorted(places) == [
        "/admin/carriers/sandbox",
        "/admin/devices",
        "/admin/messages/quarantine",
    ]
    for place in places:
        operator.get(place.removeprefix("/admin"))


def test_commands_are_code_and_stand_only_where_no_button_does(make_operator: Make) -> None:
    operator = make_operator(NUMBER_ENTRY, APP_URL="http://sms.example.com")
    receive_text(operator.gateway)
    page = operator.get("/")
    assert "Nobody is notified" in page
    assert "Pair one" not in page
    assert "`" not in page


@pytest.mark.parametrize("path", ["/", "/carriers", "/carriers/twilio"])
def test_no_secret_stands_on_a_page(make_operator: Make, path: str) -> None:
    secret = "0123456789abcdef0123456789abcdef"
    operator = make_operator(
        TWILIO_ACCOUNT_SID="AC" + "0" * 32, TWILIO_AUTH_TOKEN=secret, APP_KEY=secret[::-1]
    )
    page = operator.get(path)
    assert "Twilio" in plain(page)
    assert secret not in page
    assert secret[::-1] not in page
