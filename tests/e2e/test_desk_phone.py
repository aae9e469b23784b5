"""Desk phones over real connections: a carrier, a server, FreeSWITCH with its phones."""

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


class Deployment:
    """A running server with its carrier and its FreeSWITCH."""

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
def deployment(tmp_path: Path, database: str, switch: FreeSwitch) -> Iterator[Deployment]:
    setting = {"number": NUMBER, "carrier": "bandwidth", "extensions": ["201"]}
    (tmp_path / "message_settings.json").write_text(settings_file(setting))
    with FakeBandwidth() as bandwidth:
        env = {**bandwidth.env, **switch.env, "DATABASE_URL": database}
        with running_server(tmp_path, env) as server:
            hooks = server.flask("webhooks", "--json")
            token = hooks.stdout.partition("token=")[2].partition('"')[0]
            bandwidth.webhook = f"{server.url}/webhook/bandwidth/sms?token={token}"
            yield Deployment(server, bandwidth, switch)
            assert server.stop() == 0
            assert "Traceback" not in server.log.read_text()


def test_a_text_reaches_the_phone_and_its_answer_the_carrier(deployment: Deployment) -> None:
    deployment.switch.wait_listeners()
    deployment.bandwidth.receive("Are you open?", sender=PEER, to=NUMBER)
    assert deployment.switch.wait_shown(1) == [Shown("201", PEER, f"{PEER}: Are you open?")]

    deployment.switch.text("201", PEER, "Until six")
    eventually(lambda: deployment.bandwidth.accepted)
    (sent,) = deployment.bandwidth.accepted
    assert (sent["text"], sent["from"], sent["to"]) == ("Until six", NUMBER, [PEER])


def test_a_phone_that_was_off_gets_its_texts_in_order_when_it_registers(
    deployment: Deployment,
) -> None:
    deployment.switch.wait_listeners()
    deployment.switch.registered.clear()
    for text in ("one", "two", "three"):
        deployment.bandwidth.receive(text, sender=PEER, to=NUMBER)
    eventually(lambda: "No phone of 201 is registered" in deployment.server.log.read_text())
    assert deployment.switch.shown == []
    deployment.switch.register("201")
    assert [shown.text for shown in deployment.switch.wait_shown(3)] == [
        f"{PEER}: {text}" for text in ("one", "two", "three")
    ]


def test_a_text_that_fails_is_told_to_the_phone(deployment: Deployment) -> None:
    deployment.switch.wait_listeners()
    refusal = {"type": "request-validation", "description": "No."}
    deployment.bandwidth.next("messages", Answer(400, refusal))
    deployment.switch.text("201", PEER, "Hello?")
    (shown,) = deployment.switch.wait_shown(1)
    assert (shown.extension, shown.sender) == ("201", PEER)
    assert shown.text.startswith("Your text was not delivered.")
    assert shown.text.endswith("It was: Hello?")


def test_a_renewed_worker_hears_what_phones_text(deployment: Deployment) -> None:
    deployment.switch.registered.add("202")
    deployment.switch.wait_listeners()
    assert deployment.server.flask("config", "reload").returncode == 0
    eventually(lambda: deployment.switch.logins > 1)
    deployment.switch.wait_listeners()
    deployment.switch.text("201", PEER, "Still here")
    deployment.switch.text("202", PEER, "No number")
    eventually(lambda: deployment.bandwidth.accepted)
    (shown,) = [s for s in deployment.switch.wait_shown(1) if s.extension == "202"]
    assert shown.text.startswith("Not sent to")
    assert [sent["text"] for sent in deployment.bandwidth.accepted] == ["Still here"]


def test_a_wrong_password_is_named_in_plain_sight(deployment: Deployment) -> None:
    deployment.switch.wait_listeners()
    deployment.switch.password = "another one"
    deployment.switch.drop()
    reason = eventually(lambda: deployment.warnings().get("paused"))
    assert reason.startswith("Nothing goes to push:freeswitch until its settings are fixed")
    assert "refuses the password in FS_ESL_PW" in reason
    listed = deployment.server.flask("carriers", "list").stdout
    assert "refuses the password in FS_ESL_PW" in listed
    deployment.bandwidth.receive("hi", sender=PEER, to=NUMBER)
    deployment.switch.password = deployment.switch.env["FS_ESL_PW"]
    deployment.switch.wait_shown(1, seconds=60)
    assert "paused" not in deployment.warnings()
