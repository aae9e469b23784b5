"""``flask simulate`` without ``--url``, where no server of ours is at HOST and PORT."""

from collections.abc import Callable, Iterator
from threading import Thread

import pytest
from filelock import FileLock
from flask import Flask
from werkzeug.serving import make_server

from tests.cli.conftest import TEXT, Terminal
from tests.postgres import free_port


@pytest.fixture
def other_program() -> Iterator[int]:
    """The port of a server that knows no webhook."""
    server = make_server("127.0.0.1", 0, Flask("other"), threaded=True)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def refusal(terminal: Terminal) -> str:
    return terminal.flask("simulate", "sandbox", *TEXT, code=1).stderr


def test_without_a_server_it_says_how_to_start_one_or_name_one(
    make_terminal: Callable[..., Terminal],
) -> None:
    words = refusal(make_terminal(PORT=str(free_port())))
    assert "No server of this installation runs" in words
    assert "make run" in words
    assert "--url http://HOST:PORT" in words


def test_another_program_on_the_port_is_not_taken_for_the_server(
    make_terminal: Callable[..., Terminal], other_program: int
) -> None:
    words = refusal(make_terminal(PORT=str(other_program)))
    assert "404" in words
    assert "No server of this installation runs" in words


def test_a_server_that_was_started_elsewhere_is_named(
    make_terminal: Callable[..., Terminal],
) -> None:
    terminal = make_terminal(PORT=str(free_port()))
    storage = terminal.gateway.environment.service.storage_path
    (storage / "run").mkdir(parents=True, exist_ok=True)
    (storage / "run" / "server.pid").write_text("4711")
    with FileLock(storage / "server.lock"):
        words = refusal(terminal)
    assert "process 4711" in words
    assert "--url http://HOST:PORT" in words
    assert "No server of this installation" not in words
