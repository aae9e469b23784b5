"""A carrier may be called by its other name on the command line."""

from collections.abc import Callable

from tests import payload_files
from tests.cli.conftest import TEXT, Terminal, inbound
from tests.conftest import NUMBER_ENTRY
from tests.postgres import free_port


def test_simulate_knows_the_other_name(make_terminal: Callable[..., Terminal]) -> None:
    settings = payload_files.settings("voipinnovations")
    terminal = make_terminal(NUMBER_ENTRY | {"carrier": "apidaze"}, **settings)
    nowhere = f"http://127.0.0.1:{free_port()}"
    refused = terminal.flask("simulate", "apidaze", *TEXT, "--url", nowhere, code=1)
    assert "not configured" not in refused.stderr


def test_lists_know_the_other_name(make_terminal: Callable[..., Terminal]) -> None:
    terminal = make_terminal(NUMBER_ENTRY)
    inbound(terminal.gateway)
    assert len(terminal.json("messages", "list", "--carrier", "sandbox")) == 1
    assert terminal.json("messages", "list", "--carrier", "apidaze") == []
