"""``flask simulate``: a text as the carrier would post it."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.serving import make_server

from tests import payload_files
from tests.cli.conftest import BANDWIDTH, PUBLIC, TEXT, Terminal
from tests.conftest import NUMBER, NUMBER_ENTRY, PEER
from tests.postgres import free_port

TWILIO = payload_files.settings("twilio")


@pytest.fixture
def serve() -> Iterator[Callable[[Flask], str]]:
    """Serve an application on this machine; returns its address."""
    running = []

    def start(app: Flask) -> str:
        server = make_server("127.0.0.1", 0, app, threaded=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        running.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server, thread in running:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("carrier", "env"),
    [
        ("sandbox", {}),
        ("bandwidth", BANDWIDTH),  # without a callback user
        *((carrier, payload_files.settings(carrier)) for carrier in payload_files.carriers()),
    ],
)
def test_a_simulated_text_comes_in_as_from_the_carrier(
    make_terminal: Callable[..., Terminal],
    serve: Callable[[Flask], str],
    carrier: str,
    env: dict[str, str],
) -> None:
    busy = make_terminal(NUMBER_ENTRY | {"carrier": carrier}, **env)
    line = ["simulate", carrier, *TEXT, "--url", serve(busy.app)]
    if payload_files.signing_key(carrier) is not None:
        folder = payload_files.FOLDER / carrier
        for key in ((), ("--signing-key", str(folder / "other_signing_key.pem"))):
            assert busy.flask(*line, *key, code=1).stderr
        line += ["--signing-key", str(folder / "signing_key.pem")]
    result = busy.flask(*line)
    assert f"took the text to {NUMBER}" in result.output
    busy.gateway.processor.process_all()
    [message] = busy.json("messages", "list")
    assert (message["from"], message["text"], message["routed"]) == (PEER, "Are you open?", True)
    assert message["carrier"] == carrier


def test_a_key_is_not_needed_where_we_have_the_secret(terminal: Terminal, tmp_path: Path) -> None:
    (tmp_path / "key.pem").touch()
    line = ("simulate", "sandbox", *TEXT, "--signing-key", str(tmp_path / "key.pem"))
    assert "needs no --signing-key" in terminal.flask(*line, code=2).stderr


def test_a_simulated_picture_comes_in(
    make_terminal: Callable[..., Terminal], serve: Callable[[Flask], str]
) -> None:
    busy = make_terminal(PUBLIC, **BANDWIDTH)
    link = "https://messaging.bandwidth.com/api/v2/users/9900001/media/a/0/roof.jpg"
    line = ("--from", PEER, "--to", NUMBER, "--media-url", link)
    busy.flask("simulate", "bandwidth", *line, "--url", serve(busy.app))
    busy.gateway.processor.process_all()
    [message] = busy.json("messages", "list")
    assert [file["name"] for file in message["media"]] == ["roof.jpg"]


def test_a_simulated_text_that_nobody_gets_is_kept_with_a_note(
    make_terminal: Callable[..., Terminal], serve: Callable[[Flask], str]
) -> None:
    empty = make_terminal()
    service = empty.gateway.environment.service
    port = int(serve(empty.app).rpartition(":")[2])
    empty.gateway.environment = replace(
        empty.gateway.environment, service=replace(service, port=port)
    )
    assert f"settings set {NUMBER}" in empty.flask("simulate", "sandbox", *TEXT).stderr
    empty.gateway.processor.process_all()
    assert len(empty.json("messages", "list", "--unrouted")) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["sandbox", *TEXT, "--url", f"http://127.0.0.1:{free_port()}"], 1, "make run"),
        (["bandwidth", *TEXT], 1, "bandwidth is not configured (configured: sandbox)"),
        (["sandbox", "--from", PEER, "--to", NUMBER], 2, "--text"),
        (["sandbox", "--from", PEER, "--to", "desk", "--text", "x"], 1, "not a phone number"),
        (["sandbox", "--from", PEER, "--text", "x"], 2, "--to"),
    ],
)
def test_a_simulation_that_cannot_be_says_why(
    terminal: Terminal, arguments: list[str], code: int, words: str
) -> None:
    assert words in terminal.flask("simulate", *arguments, code=code).stderr


def test_a_number_of_another_carrier_is_refused(make_terminal: Callable[..., Terminal]) -> None:
    terminal = make_terminal(NUMBER_ENTRY | {"carrier": "bandwidth"}, **BANDWIDTH, **TWILIO)
    refused = terminal.flask("simulate", "twilio", *TEXT, code=1).stderr
    assert f"{NUMBER} is a number of bandwidth" in refused
    assert "settings set NUMBER --carrier twilio" in refused


def test_a_sender_that_is_no_number_is_taken_with_a_note(
    terminal: Terminal, serve: Callable[[Flask], str]
) -> None:
    line = ("--from", "abc", "--to", NUMBER, "--text", "x", "--url", serve(terminal.app))
    assert "“abc” is no phone number" in terminal.flask("simulate", "sandbox", *line).stderr
    assert (
        "no phone number"
        not in terminal.flask("simulate", "sandbox", *TEXT, "--url", line[-1]).stderr
    )


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "flask config reload"),
        (404, "not on"),
        (503, "cannot be written to"),
        (418, "short and stout"),
    ],
)
def test_a_refusal_of_the_server_is_put_into_words(
    terminal: Terminal, serve: Callable[[Flask], str], status: int, words: str
) -> None:
    teapot = Flask("teapot")

    @teapot.post("/webhook/sandbox/sms")
    def refuse() -> tuple[dict[str, str], int]:
        return {"detail": "short and\x1b stout" if status != 418 else "short and stout"}, status

    told = terminal.flask("simulate", "sandbox", *TEXT, "--url", serve(teapot), code=1).stderr
    assert str(status) in told
    assert words in told
