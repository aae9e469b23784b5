"""SIP phones over real connections: a carrier, a server, kamailio as PBX, linphonec, baresip."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import requests

from services.push.sip.account import SipAccount
from services.push.sip.addresses import NameAddress, Uri
from services.push.sip.user_agent import UserAgent
from tests.conftest import settings_file
from tests.fakes.bandwidth import FakeBandwidth
from tests.server import UNLIMITED, LoneWorker, Server, running_server
from tests.sip_lab import (
    DOMAIN,
    GATEWAY,
    Baresip,
    Linphone,
    Pbx,
    needs,
    needs_reg_event,
    password,
    running_pbx,
)
from tests.waiting import PATIENCE, eventually

pytestmark = [needs("kamailio", "linphonec")]

NUMBER = "+12025550143"
PEER = "+13035550177"
EMOJI = "Grüße 😀👩‍👩‍👧 1 < 2"


class Deployment:
    """A running server with its carrier, its PBX and extension 201 on linphonec."""

    def __init__(self, server: Server, bandwidth: FakeBandwidth, pbx: Pbx, phone: Linphone) -> None:
        self.server = server
        self.bandwidth = bandwidth
        self.pbx = pbx
        self.phone = phone

    def new_phone(self, folder: Path) -> None:
        """Extension 201 registers with another phone, after the one before was turned off."""
        before = self.pbx.registrations("201")
        self.phone = Linphone(folder, self.pbx)
        self.pbx.wait_registered("201", before + 1)

    def stop_phone(self) -> None:
        """Turn the phone of extension 201 off."""
        self.phone.stop()

    def receive(self, text: str) -> None:
        """A text comes in from the carrier."""
        self.bandwidth.receive(text, sender=PEER, to=NUMBER)

    def wait_shown(self, text: str) -> None:
        """Wait until the phone of 201 shows a text from outside."""
        eventually(lambda: f"{PEER}: {text}" in self.phone.output)

    def wait_sent(self, count: int) -> list[str]:
        """Wait until the carrier has so many texts, and return them."""
        eventually(lambda: len(self.bandwidth.accepted) >= count)
        for sent in self.bandwidth.accepted:
            assert (sent["from"], sent["to"]) == (NUMBER, [PEER])
        return [str(sent["text"]) for sent in self.bandwidth.accepted]

    def warnings(self) -> dict[str, str]:
        """What /ready warns of."""
        told = requests.get(f"{self.server.url}/ready", timeout=PATIENCE).json()["warnings"]
        return {warning["name"]: warning["reason"] for warning in told}


@pytest.fixture
def pbx(tmp_path: Path) -> Iterator[Pbx]:
    with running_pbx(tmp_path / "pbx") as running:
        yield running


def account(pbx: Pbx, transport: str = "tcp") -> dict[str, str]:
    """The variables of the account at the PBX."""
    at = f"localhost:{pbx.tls_port}" if transport == "tls" else f"127.0.0.1:{pbx.port}"
    return {
        "SIP_SERVER": at,
        "SIP_TRANSPORT": transport,
        "SIP_DOMAIN": DOMAIN,
        "SIP_USERNAME": GATEWAY,
        "SIP_PASSWORD": password(GATEWAY),
        "SIP_CA_FILE": str(pbx.certificate),
        "SIP_EXTENSION_HEADER": "X-SMS-From",
    }


@contextmanager
def deployed(folder: Path, pbx: Pbx, transport: str = "tcp", **env: str) -> Iterator[Deployment]:
    """A deployment whose account and whose phone are registered."""
    setting = {"number": NUMBER, "carrier": "bandwidth", "extensions": ["201"]}
    storage = folder / "storage"
    storage.mkdir(mode=0o700)
    (storage / "message_settings.json").write_text(settings_file(setting))
    with ExitStack() as stack:
        bandwidth = stack.enter_context(FakeBandwidth())
        variables = {**bandwidth.env, **account(pbx, transport), **UNLIMITED, **env}
        server = stack.enter_context(running_server(storage, variables))
        hooks = server.flask("webhooks", "--json")
        token = hooks.stdout.partition("token=")[2].partition('"')[0]
        bandwidth.webhook = f"{server.url}/webhook/bandwidth/sms?token={token}"
        here = Deployment(server, bandwidth, pbx, Linphone(folder / "phone", pbx))
        stack.callback(here.stop_phone)
        here.phone.wait_registered()
        yield here
        assert server.stop() == 0
        assert "Traceback" not in server.log.read_text()
        for secret in (password(GATEWAY), "Are you open?", "Until six", EMOJI):
            assert secret not in server.log.read_text()


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_texts_go_both_ways_by_every_transport(tmp_path: Path, pbx: Pbx, transport: str) -> None:
    with deployed(tmp_path, pbx, transport) as here:
        pbx.wait_registered(GATEWAY)
        here.receive("Are you open?")
        here.wait_shown("Are you open?")
        here.receive(EMOJI)
        here.wait_shown(EMOJI)
        here.phone.send(PEER, "Until six")
        here.phone.send(PEER, EMOJI)
        assert here.wait_sent(2) == ["Until six", EMOJI]


def test_a_long_text_arrives_whole(tmp_path: Path, pbx: Pbx) -> None:
    text = "".join(f"{number:04} " for number in range(320))
    with deployed(tmp_path, pbx, "udp") as here:
        here.receive(text.strip())
        here.wait_shown(text.strip())


@needs("baresip")
def test_baresip_shows_a_text(tmp_path: Path, pbx: Pbx) -> None:
    phone = Baresip(tmp_path / "baresip", pbx)
    with deployed(tmp_path, pbx) as here:
        phone.wait_registered()
        setting = ["settings", "set", NUMBER, "--carrier", "bandwidth", "--extension", "202"]
        assert here.server.flask(*setting).returncode == 0
        here.receive(EMOJI)
        eventually(lambda: EMOJI in phone.output)
    phone.stop()


def test_a_phone_that_was_off_gets_its_texts_in_order(tmp_path: Path, pbx: Pbx) -> None:
    with deployed(tmp_path, pbx) as here:
        pbx.wait_registered(GATEWAY)
        here.phone.stop()
        for text in ("one", "two", "three"):
            here.receive(text)
        eventually(lambda: "No phone of 201 can be reached" in here.server.log.read_text())
        here.new_phone(tmp_path / "again")
        here.phone.send(PEER, "Back")  # who writes is online: this PBX says nothing by itself
        here.wait_shown("three")
        shown = re.findall(rf"{re.escape(PEER)}: (\w+)", here.phone.output)
        assert shown == ["one", "two", "three"]
        assert here.wait_sent(1) == ["Back"]


@needs_reg_event()
def test_a_phone_that_was_off_gets_its_texts_when_it_registers(tmp_path: Path) -> None:
    with running_pbx(tmp_path / "pbx", reg_event=True) as pbx, deployed(tmp_path, pbx) as here:
        pbx.wait_registered(GATEWAY)
        here.phone.stop()
        for text in ("one", "two", "three"):
            here.receive(text)
        eventually(lambda: "REQ SUBSCRIBE from textbridge to 201" in pbx.log)
        here.new_phone(tmp_path / "again")
        here.wait_shown("three")
        shown = re.findall(rf"{re.escape(PEER)}: (\w+)", here.phone.output)
        assert shown == ["one", "two", "three"]


def test_a_pbx_that_was_restarted_is_used_again(tmp_path: Path, pbx: Pbx) -> None:
    with deployed(tmp_path, pbx) as here:
        pbx.wait_registered(GATEWAY)
        pbx.stop()
        here.receive("while it was away")
        eventually(lambda: "is not reachable by TCP" in here.server.log.read_text())
        before = pbx.registrations(GATEWAY)
        here.phone.stop()
        pbx.start()
        pbx.wait_registered(GATEWAY, before + 1)
        here.new_phone(tmp_path / "again")
        here.wait_shown("while it was away")
        here.phone.send(PEER, "Until six")
        assert here.wait_sent(1) == ["Until six"]


def test_a_wrong_password_is_named_in_plain_sight(tmp_path: Path, pbx: Pbx) -> None:
    with deployed(tmp_path, pbx, SIP_PASSWORD="another one") as here:
        reason = eventually(lambda: here.warnings().get("paused"))
        assert reason.startswith("Nothing goes to push:sip until its settings are fixed")
        assert "Correct SIP_USERNAME and SIP_PASSWORD" in reason
        checked = here.server.flask("push", "check")
        assert checked.returncode == 1
        assert "refuses the user name or the password" in checked.stdout
        assert "another one" not in here.server.log.read_text() + checked.stdout


def test_a_hundred_texts_arrive_in_order_each_way(tmp_path: Path, pbx: Pbx) -> None:
    texts = [f"text {number:03}" for number in range(100)]
    with deployed(tmp_path, pbx) as here:
        pbx.wait_registered(GATEWAY)
        for text in texts:
            here.receive(text)
        here.wait_shown(texts[-1])
        assert re.findall(rf"{re.escape(PEER)}: (text \d+)", here.phone.output) == texts
        for text in texts:
            here.phone.send(PEER, text)
        assert sorted(here.wait_sent(100)) == texts


def test_a_kill_loses_nothing_and_repeats_what_was_in_hand(tmp_path: Path, pbx: Pbx) -> None:
    texts = [f"text {number:03}" for number in range(60)]
    with deployed(tmp_path, pbx) as here:
        pbx.wait_registered(GATEWAY)
        for text in texts:
            here.receive(text)
        here.wait_shown(texts[5])
        here.server.kill_tree()
        before = pbx.registrations(GATEWAY)
        here.server.start()
        pbx.wait_registered(GATEWAY, before + 1)
        here.wait_shown(texts[-1])
        shown = re.findall(rf"{re.escape(PEER)}: (text \d+)", here.phone.output)
        assert sorted(set(shown)) == texts
        assert len(shown) - len(texts) <= 2  # one lane has one text in hand
        here.phone.send(PEER, "Until six")
        assert here.wait_sent(1) == ["Until six"]


def test_another_worker_registers_when_the_one_that_did_is_gone(tmp_path: Path, pbx: Pbx) -> None:
    with deployed(tmp_path, pbx) as here:
        pbx.wait_registered(GATEWAY)
        other = LoneWorker(here.server.storage, here.server.env)
        other.start()
        before = pbx.registrations(GATEWAY)
        here.server.kill_tree()
        pbx.wait_registered(GATEWAY, before + 1)
        here.phone.send(PEER, "Until six")
        assert here.wait_sent(1) == ["Until six"]
        assert other.stop() == 0
        here.server.start()


def test_a_reload_of_the_configuration_loses_no_text(tmp_path: Path, pbx: Pbx) -> None:
    with deployed(tmp_path, pbx) as here:
        pbx.wait_registered(GATEWAY)
        before = pbx.registrations(GATEWAY)
        assert here.server.flask("config", "reload").returncode == 0
        here.receive("meanwhile")
        pbx.wait_registered(GATEWAY, before + 2)  # the one before ends, a new one begins
        here.phone.send(PEER, "Until six")
        assert here.wait_sent(1) == ["Until six"]
        here.wait_shown("meanwhile")


def test_a_refused_text_comes_back_to_its_phone(tmp_path: Path, pbx: Pbx) -> None:
    with deployed(tmp_path, pbx) as here:
        pbx.wait_registered(GATEWAY)
        here.server.flask("settings", "set", NUMBER, "--carrier", "bandwidth", "--extension", "202")
        eventually(lambda: '"201"' not in here.server.flask("settings", "list", "--json").stdout)
        here.phone.send(PEER, "Until six")
        eventually(lambda: "Extension 201 has no number yet." in here.phone.output)
        assert f"Not sent to {PEER}: " in here.phone.output


def test_a_phone_cannot_write_as_another_extension(tmp_path: Path, pbx: Pbx) -> None:
    with deployed(tmp_path, pbx) as here:
        pbx.wait_registered(GATEWAY)
        own = SipAccount(
            server="127.0.0.1",
            port=pbx.port,
            domain=DOMAIN,
            username="203",
            password=password("203"),
            transport="tcp",
        )
        forger = UserAgent(own)
        for writer in ("203", "201"):
            answer = forger.send_message(
                Uri(user=PEER, host=DOMAIN),
                NameAddress(Uri(user=writer, host=DOMAIN)),
                "Forged",
                headers={"X-SMS-From": "201", "X-SMS-To": PEER},
            )
            assert answer.status == (202 if writer == "203" else 403)
        forger.close()
        eventually(lambda: '"extension": "203"' in here.server.log.read_text())
        assert '"code": "no_number"' in here.server.log.read_text()
        here.phone.send(PEER, "Until six")
        assert here.wait_sent(1) == ["Until six"]


def test_the_check_registers_and_sends_to_an_extension(tmp_path: Path, pbx: Pbx) -> None:
    with deployed(tmp_path, pbx, "tls") as here:
        pbx.wait_registered(GATEWAY)
        checked = here.server.flask("push", "check", "--send-to", "201")
        assert checked.returncode == 0, checked.stdout
        assert f"{GATEWAY} is registered at localhost:{pbx.tls_port} by tls" in checked.stdout
        eventually(lambda: "Notifications arrive on this device." in here.phone.output)
        before = len(here.bandwidth.accepted)
        here.phone.send(PEER, "Until six")  # the check has not taken the registration away
        assert here.wait_sent(before + 1) == ["Until six"]
