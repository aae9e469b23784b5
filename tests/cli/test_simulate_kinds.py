"""``flask simulate…`` for every carrier and kind of event, through HTTP, without an account."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from werkzeug.serving import make_server

from blueprints.cli import simulate_api
from blueprints.cli.simulate import PICTURE
from blueprints.cli.webhook_post import webhook_post
from services.core.errors import RequestRefused
from services.core.messages import Message, Status
from services.messaging.compose import Reply
from services.operations.simulated_api import SimulatedApi
from services.providers import PROVIDERS
from services.providers.base import Provider
from services.providers.simulation import Account, ApiRequest, Outcome
from services.store import messages
from tests import payload_files
from tests.cli.conftest import Terminal
from tests.conftest import NUMBER, NUMBER_ENTRY, PEER
from tests.message_steps import PHONE, run_due_jobs, stored_messages
from tests.postgres import free_port

OTHER = "+13035550178"
CARRIERS = [one.name for one in PROVIDERS if one.name != "sandbox"]
# What a carrier lacks, as the commands say it.
NO_GROUPS = {
    "twilio": "Twilio shows no groups",
    "voipms": "VoIP.ms shows no groups",
    "voipinnovations": "VoIP Innovations shows no groups",
    "wavix": "Wavix shows no groups",
}
NO_EVENT = {"bandwidth", "voipms", "voipinnovations", "wavix"}  # for STOP: the text alone
NO_RECEIPTS = {"voipms": "VoIP.ms posts no delivery receipts"}
NO_CODES = {"voipinnovations"}
# A code of a failure, and words of what it means.
CODES = {
    "bandwidth": ("4470", "spam"),
    "twilio": ("30007", "spam"),
    "telnyx": ("40002", "spam"),
    "wavix": ("Message too long", "too long"),
}
REFUSED = {
    "bandwidth": "E164",
    "twilio": "not a valid phone number",
    "telnyx": "not a valid phone",
    "voipinnovations": "Number not enabled for SMS",
    "voipms": "not one that VoIP.ms can text",
    "wavix": "not allowed in the recipient's country",
}


@dataclass
class Simulation:
    """A server with one simulated carrier, and the terminal beside it."""

    terminal: Terminal
    carrier: str
    url: str
    key: list[str]
    api: SimulatedApi
    accepted: list[str] = field(default_factory=list)
    account: Account = field(default_factory=Account)

    @property
    def provider(self) -> Provider:
        return self.terminal.gateway.providers[self.carrier]

    def run(self, name: str, *arguments: str, code: int = 0) -> Any:
        line = (name, self.carrier, *arguments, *self.key, "--url", self.url)
        return self.terminal.flask(*line, code=code)

    def text(self, *arguments: str, code: int = 0) -> Any:
        return self.run("simulate", "--from", PEER, "--to", NUMBER, *arguments, code=code)

    def send(self, text: str = "Until six") -> Message:
        """A message of ours, sent to the simulated API."""
        sent, _ = self.terminal.gateway.composer.submit(PHONE, Reply(text=text, to=(PEER,)))
        run_due_jobs(self.terminal.gateway)
        return self.stored(sent.id)

    def stored(self, message_id: str) -> Message:
        store = self.terminal.gateway.store
        found = store.read(lambda tx: messages.by_id(tx, message_id))
        assert found is not None
        return found

    def newest(self) -> Message:
        return stored_messages(self.terminal.gateway)[0]


Start = Callable[..., Simulation]


@pytest.fixture
def start(make_terminal: Callable[..., Terminal]) -> Iterator[Start]:
    """Configure Textbridge for a simulated carrier as ``simulate-api`` says, and serve it."""
    with ExitStack() as stack:

        def run(carrier: str, refuse: str = "") -> Simulation:
            cls = payload_files.provider_class(carrier)
            accepted: list[str] = []
            made: list[Simulation] = []
            placeholder = payload_files.provider(carrier).simulated()
            api = stack.enter_context(
                SimulatedApi(
                    placeholder,
                    PICTURE.read_bytes(),
                    refuse=refuse,
                    accepted=accepted.append,
                    account=lambda: made[0].account,
                )
            )
            env = {name: one.format(api=api.address) for name, one in cls.Simulated.env.items()}
            key: list[str] = []
            if payload_files.signing_key(carrier) is not None:
                known = payload_files.settings(carrier)
                env |= {name: known[name] for name in known if name.endswith("_PUBLIC_KEY")}
                key = ["--signing-key", str(payload_files.FOLDER / carrier / "signing_key.pem")]
            terminal = make_terminal(NUMBER_ENTRY | {"carrier": carrier}, **env)
            url = stack.enter_context(_served(terminal.app))
            made.append(Simulation(terminal, carrier, url, key, api, accepted))
            return made[0]

        yield run


class _served:
    """An application at an address of this machine."""

    def __init__(self, app: Flask) -> None:
        self._server = make_server("127.0.0.1", 0, app, threaded=True)

    def __enter__(self) -> str:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self._server.server_port}"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.mark.parametrize("carrier", CARRIERS)
def test_a_picture_comes_in_and_is_fetched(start: Start, carrier: str) -> None:
    simulation = start(carrier)
    simulation.text("--picture")
    run_due_jobs(simulation.terminal.gateway)
    (file,) = simulation.newest().media
    assert (file.state, file.content_type) == ("kept", "image/jpeg")
    assert file.size == len(PICTURE.read_bytes())


@pytest.mark.parametrize("carrier", CARRIERS)
def test_a_group_comes_in_or_the_carrier_has_none(start: Start, carrier: str) -> None:
    simulation = start(carrier)
    lacks = NO_GROUPS.get(carrier)
    told = simulation.text("--text", "hi", "--group", OTHER, code=1 if lacks else 0)
    if lacks:
        assert lacks in told.stderr
        assert stored_messages(simulation.terminal.gateway) == []
    else:
        assert set(simulation.newest().participants) == {PEER, OTHER}


@pytest.mark.parametrize("carrier", CARRIERS)
def test_stop_is_an_opt_out_and_start_ends_it(start: Start, carrier: str) -> None:
    simulation = start(carrier)
    told = simulation.text("--opt-out", "stop")
    assert ("has no event of its own for STOP" in told.stderr) == (carrier in NO_EVENT)
    with pytest.raises(RequestRefused) as caught:
        simulation.send()
    assert caught.value.code == "opted_out"
    simulation.text("--opt-out", "start")
    assert simulation.send().status is Status.SENT
    # Where it has an event of its own, that counts also for a keyword of the account's own.
    simulation.text("--opt-out", "stop", "--text", "Basta")
    if carrier in NO_EVENT:
        assert simulation.send().status is Status.SENT
    else:
        with pytest.raises(RequestRefused):
            simulation.send()


@pytest.mark.parametrize("carrier", CARRIERS)
def test_what_becomes_of_a_message_that_was_sent(start: Start, carrier: str) -> None:
    simulation = start(carrier)
    told = simulation.run("simulate-status", "delivered", code=1)
    assert "has not taken any message yet" in told.stderr
    assert f"simulate-api {carrier}" in told.stderr
    message = simulation.send()
    assert message.status is Status.SENT
    assert simulation.accepted == [message.provider_id]
    if carrier in NO_RECEIPTS:
        told = simulation.run("simulate-status", "delivered", code=1)
        assert NO_RECEIPTS[carrier] in told.stderr
        return
    simulation.run("simulate-status", "sent")
    assert simulation.stored(message.id).status is Status.SENT
    simulation.run("simulate-status", "delivered", "--message", message.id)
    assert simulation.stored(message.id).status is Status.DELIVERED
    told = simulation.run("simulate-status", "failed", "--message", message.id)
    assert "was delivered before, and stays so" in told.stderr
    assert simulation.stored(message.id).status is Status.DELIVERED
    second = simulation.send("another")
    simulation.run("simulate-status", "failed")  # of the newest
    failed = simulation.stored(second.id)
    assert failed.status is Status.FAILED
    assert failed.error_reason
    assert (failed.error_code is None) == (carrier in NO_CODES)
    assert simulation.stored(message.id).status is Status.DELIVERED


@pytest.mark.parametrize("carrier", [one for one in CARRIERS if one not in NO_RECEIPTS])
def test_a_failure_has_the_code_of_the_carrier(start: Start, carrier: str) -> None:
    simulation = start(carrier)
    message = simulation.send()
    code, words = CODES.get(carrier, ("4470", ""))
    exit_code = 1 if carrier in NO_CODES else 0
    told = simulation.run("simulate-status", "failed", "--code", code, code=exit_code)
    if carrier in NO_CODES:
        assert "does not report “4470” as a code" in told.stderr
        return
    reason = simulation.stored(message.id).error_reason or ""
    assert words in reason.lower()


@pytest.mark.parametrize("carrier", CARRIERS)
def test_a_message_that_the_simulated_api_refuses(start: Start, carrier: str) -> None:
    refusal = payload_files.provider_class(carrier).Simulated.refusal
    simulation = start(carrier, refusal)
    message = simulation.send()
    assert message.status is Status.FAILED
    assert REFUSED[carrier] in (message.error_reason or "")
    assert simulation.accepted == []


@pytest.mark.parametrize("carrier", [one for one in CARRIERS if one not in NO_RECEIPTS])
def test_the_simulated_api_reports_later(start: Start, carrier: str) -> None:
    simulation = start(carrier)
    message = simulation.send()
    key = Path(simulation.key[1]) if simulation.key else None
    with simulation.terminal.app.app_context():
        post = webhook_post(carrier, key, simulation.url)
        receipts = simulate_api.Receipts(post, Outcome(Status.DELIVERED), after=0.0)
        receipts.expect(message.provider_id or "")
        receipts.post_next()
    simulation.terminal.gateway.processor.process_all()
    assert simulation.stored(message.id).status is Status.DELIVERED


@pytest.mark.parametrize("carrier", CARRIERS)
def test_checks_of_the_account_find_the_numbers_of_message_settings(
    start: Start, carrier: str
) -> None:
    simulation = start(carrier)
    provider = simulation.provider
    simulation.account = Account((NUMBER,), provider.webhook_url)
    assert [one for one in provider.check([NUMBER]) if not one.ok] == []
    if carrier not in ("bandwidth", "voipinnovations"):  # these cannot be asked about numbers
        assert [one for one in provider.check(["+12025550199"]) if not one.ok] != []


def test_the_simulated_api_has_nothing_else(start: Start) -> None:
    simulation = start("wavix")
    for method, target in (("GET", "/v3/messages"), ("POST", "/v9"), ("PUT", "/media/a.jpg")):
        assert simulation.api.answer(ApiRequest(method, target)).status == 404


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("simulate-api", "sandbox"), 1, "Unknown carrier “sandbox”. Use one of: bandwidth, "),
        (("simulate-api", "twilio", "--code", "1"), 2, "--code belongs to --receipt failed"),
        (("simulate-status", "sandbox", "sent", "--code", "1"), 2, "--code belongs to"),
        (("simulate-status", "sandbox", "gone"), 2, "'gone' is not one of"),
        (("simulate-status", "sandbox", "failed", "--message", "x"), 1, "no such message"),
        (("simulate", "sandbox", "--from", PEER, "--to", NUMBER), 2, "--opt-out"),
    ],
)
def test_what_cannot_be_simulated_says_why(
    terminal: Terminal, arguments: tuple[str, ...], code: int, words: str
) -> None:
    assert words in terminal.flask(*arguments, code=code).stderr


@pytest.mark.parametrize("carrier", CARRIERS)
def test_an_unconfigured_carrier_is_told_what_to_put_into_env(
    terminal: Terminal, carrier: str
) -> None:
    told = terminal.flask("simulate-api", carrier, "--port", "8026", code=1).stderr
    assert "http://127.0.0.1:8026" in told
    for name in payload_files.provider_class(carrier).Simulated.env:
        assert f"{name}=" in told
    is_signed = payload_files.signing_key(carrier) is not None
    assert ("PUBLIC_KEY=" in told) == ("--signing-key" in told) == is_signed


@pytest.mark.parametrize("carrier", ["bandwidth", "twilio"])
def test_the_running_command_answers_what_the_server_asks(
    make_terminal: Callable[..., Terminal], monkeypatch: pytest.MonkeyPatch, carrier: str
) -> None:
    """The API answers by threads of its own, which are not in the command's context."""
    port = free_port()
    lines = payload_files.provider_class(carrier).Simulated.env
    env = {name: one.format(api=f"http://127.0.0.1:{port}") for name, one in lines.items()}
    terminal = make_terminal(NUMBER_ENTRY | {"carrier": carrier}, **env)
    provider = terminal.gateway.providers[carrier]
    faults: list[str] = []

    def ask(_: simulate_api.Receipts) -> None:
        faults.extend(found.text for found in provider.check([NUMBER]) if not found.ok)
        raise KeyboardInterrupt

    monkeypatch.setattr(simulate_api.Receipts, "post_for_ever", ask)
    told = terminal.flask("simulate-api", carrier, "--port", str(port))
    assert faults == []
    assert "answered 200" in told.stdout
