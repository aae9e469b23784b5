"""Desk phones through real doors: a carrier, a server of its own, FreeSWITCH with its phones."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.conftest import settings_file
from tests.fakes.bandwidth import Answer, FakeBandwidth
from tests.fakes.freeswitch import FreeSwitch, Shown
from tests.server import Server, running_server
from tests.waiting import PATIENCE, eventually

NUMBER = "+12025550143"
PEER = "+13035550177"


class Desk:
    """Everything that stands on it."""

    def __init__(self, server: Server, bandwidth: FakeBandwidth, switch: FreeSwitch) -> None:
        self.server = server
        self.bandwidth = bandwidth
        self.switch = switch

    def warnings(self) -> dict[str, str]:
        """What /ready warns of."""
        told = requests.get(f"{self.server.url}/ready", timeout=PATIENCE).json()["warnings"]
        return {warning["name"]: warning["reason"] for warning in told}


@pytest.fixture
def switch() -> Iterator[FreeSwitch]:
    with FreeSwitch() as running:
        yield running


@pytest.fixture
def desk(tmp_path: Path, database: str, switch: FreeSwitch) -> Iterator[Desk]:
    setting = {"number": NUMBER, "carrier": "bandwidth", "extensions": ["201"]}
    (tmp_path / "message_settings.json").write_text(settings_file(setting))
    with FakeBandwidth() as bandwidth:
        env = {**bandwidth.env, **switch.env, "DATABASE_URL": database}
        with running_server(tmp_path, env) as server:
            hooks = server.flask("webhooks", "--json")
            token = hooks.stdout.partition("token=")[2].partition('"')[0]
            bandwidth.webhook = f"{server.url}/webhook/bandwidth/sms?token={token}"
            yield Desk(server, bandwidth, switch)
            assert server.stop() == 0
            assert "Traceback" not in server.log.read_text()


def test_a_text_reaches_the_phone_and_its_answer_the_carrier(desk: Desk) -> None:
    desk.switch.wait_listeners()
    desk.bandwidth.receive("Are you open?", sender=PEER, to=NUMBER)
    assert desk.switch.wait_shown(1) == [Shown("201", PEER, f"{PEER}: Are you open?")]

    desk.switch.text("201", PEER, "Until six")
    eventually(lambda: desk.bandwidth.accepted)
    (sent,) = desk.bandwidth.accepted
    assert (sent["text"], sent["from"], sent["to"]) == ("Until six", NUMBER, [PEER])


def test_a_phone_that_was_off_gets_its_texts_in_order_when_it_registers(desk: Desk) -> None:
    desk.switch.wait_listeners()
    desk.switch.registered.clear()
    for text in ("one", "two", "three"):
        desk.bandwidth.receive(text, sender=PEER, to=NUMBER)
    eventually(lambda: "No phone of 201 is registered" in desk.server.log.read_text())
    assert desk.switch.shown == []
    desk.switch.register("201")
    assert [shown.text for shown in desk.switch.wait_shown(3)] == [
        f"{PEER}: {text}" for text in ("one", "two", "three")
    ]


def test_a_text_that_fails_is_told_to_the_phone(desk: Desk) -> None:
    desk.switch.wait_listeners()
    refusal = {"type": "request-validation", "description": "No."}
    desk.bandwidth.next("messages", Answer(400, refusal))
    desk.switch.text("201", PEER, "Hello?")
    (shown,) = desk.switch.wait_shown(1)
    assert (shown.extension, shown.sender) == ("201", PEER)
    assert shown.text.startswith("Your text was not delivered.")
    assert shown.text.endswith("It was: Hello?")


def test_a_renewed_worker_hears_what_phones_text(desk: Desk) -> None:
    desk.switch.registered.add("202")
    desk.switch.wait_listeners()
    assert desk.server.flask("config", "reload").returncode == 0
    eventually(lambda: desk.switch.logins > 1)
    desk.switch.wait_listeners()
    desk.switch.text("201", PEER, "Still here")
    desk.switch.text("202", PEER, "No number")
    eventually(lambda: desk.bandwidth.accepted)
    (shown,) = [s for s in desk.switch.wait_shown(1) if s.extension == "202"]
    assert shown.text.startswith("Not sent to")
    assert [sent["text"] for sent in desk.bandwidth.accepted] == ["Still here"]


def test_a_wrong_password_is_named_in_plain_sight(desk: Desk) -> None:
    desk.switch.wait_listeners()
    desk.switch.password = "another one"
    desk.switch.drop()
    reason = eventually(lambda: desk.warnings().get("paused"))
    assert reason.startswith("Nothing goes to push:freeswitch until its settings are mended")
    assert "refuses the password in FS_ESL_PW" in reason
    listed = desk.server.flask("carriers", "list").stdout
    assert "refuses the password in FS_ESL_PW" in listed
    desk.bandwidth.receive("hi", sender=PEER, to=NUMBER)
    desk.switch.password = desk.switch.env["FS_ESL_PW"]
    desk.switch.wait_shown(1, seconds=60)
    assert "paused" not in desk.warnings()
