"""``flask mail``: the check of the mail server and the mailbox, and what the listener needs."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result
from flask import Flask

from blueprints.cli import register
from services.gateway import Gateway
from tests.dovecot import running_dovecot
from tests.fakes.mailbox import Mailbox

Make = Callable[..., Gateway]


@pytest.fixture
def flask(make_gateway: Make) -> Callable[..., Result]:
    def run(*arguments: str, **env: str) -> Result:
        app = Flask(__name__)
        register(app, make_gateway(**env))
        return app.test_cli_runner().invoke(args=["mail", *arguments])

    return run


def test_without_mail_there_is_nothing_to_check(flask: Callable[..., Result]) -> None:
    result = flask("check")
    assert result.exit_code == 0
    assert "E-mail is off" in result.output


def test_mail_server_and_mailbox_are_opened(flask: Callable[..., Result]) -> None:
    with Mailbox() as mailbox, running_dovecot() as dovecot:
        env: dict[str, Any] = mailbox.env | dovecot.env
        right = flask("check", "--json", **env)
        wrong = flask("check", "--json", **env | {"IMAP_PASSWORD": "wrong word"})
    assert (right.exit_code, wrong.exit_code) == (0, 1)
    assert all(each[0]["ok"] for each in json.loads(right.stdout).values())
    found = json.loads(wrong.stdout)
    assert found["mail server"][0]["ok"]
    assert "IMAP_USERNAME and IMAP_PASSWORD" in found["mailbox"][0]["text"]
    assert "wrong word" not in wrong.output


@pytest.mark.parametrize(
    "env", [{}, {"MAIL_ANSWERS_ADDRESS": "a@example.com"}, {"MAIL_ANSWERS_LISTEN": "127.0.0.1:25"}]
)
def test_the_listener_names_what_it_needs(
    flask: Callable[..., Result], env: dict[str, str]
) -> None:
    result = flask("listen", **env)
    assert result.exit_code == 1
    assert "Set MAIL_ANSWERS_ADDRESS and MAIL_ANSWERS_LISTEN" in result.output


def test_config_check_opens_the_mailbox(make_gateway: Make) -> None:
    with Mailbox() as mailbox, running_dovecot() as dovecot:
        app = Flask(__name__)
        env = mailbox.env | dovecot.env | {"IMAP_FOLDER": "Texts"}
        register(app, make_gateway(**env))
        result = app.test_cli_runner().invoke(args=["config", "check", "--json"])
    problems = [one["reason"] for one in json.loads(result.stdout)["problems"]]
    assert any("has no folder “Texts”" in one for one in problems)
