"""``flask config`` and ``flask webhooks``: what was understood, what is wrong, the addresses."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from services.core.commands import flask_command
from services.operations.settings_source import FILE
from tests.cli.conftest import BANDWIDTH, PRODUCTION, PUBLIC, Terminal
from tests.conftest import NUMBER, NUMBER_ENTRY


def test_a_local_service_is_in_order_and_lists_what_is_off(terminal: Terminal) -> None:
    output = terminal.flask("config", "check").output
    assert "Everything is in order." in output
    assert "Sandbox: on" in output
    assert "Bandwidth: off. To turn it on, set " + ", ".join(BANDWIDTH) in output
    assert "E-mail: off. To turn it on, set MAIL_HOST" in output


def test_what_is_off_names_what_turns_it_on_and_what_is_always_on_is_shown(
    terminal: Terminal,
) -> None:
    checked = terminal.json("config", "check")
    assert [title for title, needed in checked["off"].items() if not needed] == []
    assert {"SCHEDULED_EXPIRE_HOURS", "OPT_OUT_SCOPE"} <= set(checked["variables"])
    assert any(name.startswith("BULK_") for name in checked["variables"])


def test_a_service_in_order_shows_its_values_and_no_secret(
    make_terminal: Callable[..., Terminal],
) -> None:
    busy = make_terminal(PUBLIC, **PRODUCTION)
    for result in (busy.flask("config", "check"), busy.flask("config", "show")):
        assert "BANDWIDTH_ACCOUNT_ID=9900001" in result.output
        assert "BANDWIDTH_API_SECRET=••••" in result.output
        assert BANDWIDTH["BANDWIDTH_API_SECRET"] not in result.output
        assert PRODUCTION["APP_KEY"] not in result.output
    told = busy.json("config", "check")
    assert (told["ok"], told["carriers"], told["problems"]) == (True, ["bandwidth"], [])
    assert told["off"]["Signed webhook"] == ["PUSH_WEBHOOK_URL", "PUSH_WEBHOOK_SECRET"]
    assert busy.json("config", "show")["APP_URL"] == "https://sms.example.com"


@pytest.mark.parametrize(
    ("numbers", "env", "where", "words"),
    [
        ([PUBLIC], {"APP_URL": "http://sms.example.com"}, "APP_URL", "not https"),
        ([PUBLIC], {"APP_URL": ""}, "APP_URL", "cannot reach"),
        ([PUBLIC], {"APP_DEBUG": "true"}, "APP_DEBUG", "logs grow"),
        ([], dict.fromkeys(BANDWIDTH, ""), "The variables of a carrier", "no carrier"),
        (
            [PUBLIC | {"carrier": "twilio"}],
            {},
            "Message Settings",
            f"{NUMBER} cannot send or receive: twilio",
        ),
        ([PUBLIC | {"emails": ["a@example.com"]}], {}, "MAIL_HOST", NUMBER),
        ([PUBLIC], {"MAIL_HOST": "smtp.example.com"}, "MAIL_FROM_ADDRESS", "no mail"),
    ],
)
def test_each_problem_is_named_with_its_remedy(
    make_terminal: Callable[..., Terminal],
    numbers: list[dict[str, Any]],
    env: dict[str, str],
    where: str,
    words: str,
) -> None:
    troubled = make_terminal(*numbers, **PRODUCTION | env)
    [problem] = troubled.json("config", "check", code=1)["problems"]
    assert problem["variable"] == where
    assert words in problem["reason"]
    assert problem["remedy"]
    assert f"To fix: {where}" in troubled.flask("config", "check", code=1).output


def test_a_resting_number_needs_no_carrier_and_no_mail(
    make_terminal: Callable[..., Terminal],
) -> None:
    resting = NUMBER_ENTRY | {"emails": ["a@example.com"], "enabled": False}
    make_terminal(resting, **PRODUCTION).flask("config", "check")


def test_a_broken_settings_file_is_reported_with_its_line(
    terminal: Terminal, tmp_path: Path
) -> None:
    (tmp_path / FILE).write_text('{"numbers": [\n  {"number": }]}')
    assert "line 2, column 14" in terminal.flask("config", "check", code=1).output
    listed = terminal.flask("settings", "list")
    assert NUMBER in listed.stdout, "the last good settings are shown"
    assert "line 2, column 14" in listed.stderr
    refused = terminal.flask("settings", "set", NUMBER, "--description", "x", code=1)
    assert "Fix the file first" in refused.stderr


def test_an_env_file_that_everybody_can_read_is_reported(
    make_terminal: Callable[..., Terminal], tmp_path: Path
) -> None:
    file = tmp_path / "secrets.env"
    file.touch(mode=0o600)
    terminal = make_terminal(NUMBER_ENTRY, ENV_FILE=str(file))
    terminal.flask("config", "check")
    file.chmod(0o644)
    assert f"chmod 600 {file}" in terminal.flask("config", "check", code=1).output


@pytest.fixture
def server_pid(tmp_path: Path) -> Iterator[Path]:
    """This process holds the lock of a running server and stands in its pid file."""
    file = tmp_path / "run" / "server.pid"
    file.parent.mkdir(exist_ok=True)
    with FileLock(tmp_path / "server.lock"):
        file.write_text(f"{os.getpid()}\n")
        yield file


def test_an_env_file_that_the_server_has_not_read_is_reported(
    make_terminal: Callable[..., Terminal], tmp_path: Path, server_pid: Path
) -> None:
    file = tmp_path / "changed.env"
    file.touch(mode=0o600)
    terminal = make_terminal(NUMBER_ENTRY, ENV_FILE=str(file))
    read_at = server_pid.stat().st_mtime
    os.utime(file, (read_at - 60, read_at - 60))
    terminal.flask("config", "check")
    os.utime(file, (read_at + 60, read_at + 60))
    assert (
        f"Run: {flask_command('config reload')}" in terminal.flask("config", "check", code=1).output
    )


@pytest.fixture
def hangups() -> Iterator[list[int]]:
    """The hang-up signals that this process gets."""
    got: list[int] = []
    before = signal.signal(signal.SIGHUP, lambda number, _: got.append(number))
    yield got
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("server_pid")
def test_reload_tells_the_running_server(terminal: Terminal, hangups: list[int]) -> None:
    assert str(os.getpid()) in terminal.flask("config", "reload").output
    assert hangups == [signal.SIGHUP]


def test_reload_signals_no_other_process_that_has_a_dead_servers_pid(
    terminal: Terminal, tmp_path: Path, hangups: list[int]
) -> None:
    (tmp_path / "run").mkdir(exist_ok=True)
    (tmp_path / "run" / "server.pid").write_text(str(os.getpid()))
    assert "make run" in terminal.flask("config", "reload", code=1).stderr
    assert hangups == []


def test_webhook_addresses_are_ready_to_paste(make_terminal: Callable[..., Terminal]) -> None:
    busy = make_terminal(**PRODUCTION)
    url = busy.gateway.providers["bandwidth"].webhook_url
    output = busy.flask("webhooks").output
    assert f"  {url}\n" in output
    assert "callback URL" in output
    [told] = busy.json("webhooks")
    assert (told["carrier"], told["url"]) == ("bandwidth", url)


def test_local_webhook_addresses_are_said_to_be_unreachable(terminal: Terminal) -> None:
    assert "this machine only" in terminal.flask("webhooks").stderr
