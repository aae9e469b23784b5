"""``flask`` in the test process, and gateways that it works on."""

import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from click.testing import Result
from flask import Flask

from blueprints import errors, webhooks
from blueprints.cli import register
from blueprints.client_address import Callers
from services.core.messages import Device, Message
from services.gateway import Gateway
from services.store import messages
from tests.conftest import NUMBER, NUMBER_ENTRY, PEER
from tests.message_steps import receive_call

BANDWIDTH = {
    "BANDWIDTH_ACCOUNT_ID": "9900001",
    "BANDWIDTH_API_TOKEN": "a-client-id-of-the-tests",
    "BANDWIDTH_API_SECRET": "a-client-secret-of-the-tests",
    "BANDWIDTH_APPLICATION_ID": "0b1c2d3e-4f50-4a6b-8c7d-9e0f1a2b3c4d",
}
PRODUCTION = {
    "APP_ENV": "production",
    "APP_KEY": "a key of the tests, long enough",
    "APP_URL": "https://sms.example.com",
    "ADMIN_PASSWORD": "operator-of-the-tests",
    **BANDWIDTH,
}
PUBLIC = {"number": NUMBER, "carrier": "bandwidth", "extensions": ["201"]}
DEVICE = Device(id="none", extension="201")
NASTY = "pay\u202egpj.exe\x1b[2J\nnow \x9b1A"
TEXT = ("--from", "303-555-0177", "--to", "202-555-0100", "--text", "Are you open?")


class Terminal:
    """``flask`` with one gateway."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.app = Flask(__name__)
        errors.register(self.app, "Textbridge")
        for provider in gateway.providers.values():
            self.app.register_blueprint(webhooks.blueprint(gateway.receiver, provider, Callers()))
        register(self.app, gateway)
        self._runner = self.app.test_cli_runner()

    def flask(self, *arguments: str, code: int = 0) -> Result:
        """Run one command, which must end with ``code``."""
        result = self._runner.invoke(args=list(arguments))
        if arguments[0].startswith("simulate"):
            self.gateway.processor.process_all()  # what it has posted to the server
        assert result.exit_code == code, result.output
        assert "Traceback" not in result.output
        return result

    def json(self, *arguments: str, code: int = 0) -> Any:
        """Run one command and read the JSON on its standard output."""
        return json.loads(self.flask(*arguments, "--json", code=code).stdout)


@pytest.fixture(autouse=True)
def _log_on_standard_error() -> Iterator[None]:
    before = structlog.get_config()
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))
    yield
    structlog.configure(**before)


@pytest.fixture(autouse=True)
def _wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "250")


@pytest.fixture
def make_terminal(make_gateway: Callable[..., Gateway]) -> Callable[..., Terminal]:
    """Open a terminal on a gateway, made as by ``make_gateway``."""
    return lambda *numbers, **env: Terminal(make_gateway(*numbers, **env))


@pytest.fixture
def terminal(make_terminal: Callable[..., Terminal]) -> Terminal:
    """A terminal on a local service with the sandbox and one number."""
    return make_terminal(NUMBER_ENTRY)


def inbound(gateway: Gateway, text: str = "Are you open?", number: str = NUMBER) -> Message:
    """Let a text come in through the sandbox."""
    provider = gateway.providers["sandbox"]
    message = Message(direction="in", number=number, peer=PEER, text=text)
    receive_call(gateway, provider, provider.example(message))
    return gateway.store.read(lambda tx: messages.find(tx, limit=1))[0]
