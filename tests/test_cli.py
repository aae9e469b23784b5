"""The operator's commands, in the test's own process and, for a few, as a program of their own."""

import csv
import io
import json
import os
import re
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import click
import pytest
import segno
from click.testing import Result
from filelock import FileLock
from flask import Flask
from jsonschema import Draft202012Validator
from werkzeug.serving import make_server

from blueprints import errors, webhooks
from blueprints.cli import COMMANDS, register
from blueprints.cli.settings_schema import json_schema
from blueprints.client_address import Callers
from services.core.messages import DeliveryStatus, Device, Message, Status, WebhookCall, uuid7
from services.gateway import Gateway, load_environment
from services.media.folder import Folder
from services.message_settings import MessageSettings
from services.messaging.compose import Reply
from services.operations.settings_source import FILE, open_settings
from services.store import circuit_breakers, devices, jobs, messages, statuses
from services.store.database.store import Store
from services.store.jobs import Job, JobKind
from tests import payload_files
from tests.conftest import DESK, NUMBER, PEER, settings_file
from tests.fakes.s3 import Fault, S3Server
from tests.postgres import free_port
from tests.processes import start
from tests.server import ROOT, Server
from tests.waiting import PATIENCE, eventually

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
    **BANDWIDTH,
}
PUBLIC = {"number": NUMBER, "carrier": "bandwidth", "extensions": ["201"]}
DEVICE = Device(id="none", extension="201")
NASTY = "pay\u202egpj.exe\x1b[2J\nnow \x9b1A"


class Terminal:
    """``flask`` with one gateway."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.app = Flask(__name__)
        errors.register(self.app)
        for provider in gateway.providers.values():
            self.app.register_blueprint(webhooks.blueprint(gateway.receiver, provider, Callers()))
        register(self.app, gateway)
        self._runner = self.app.test_cli_runner()

    def flask(self, *arguments: str, code: int = 0) -> Result:
        """Run one command, which must end with ``code``."""
        result = self._runner.invoke(args=list(arguments))
        assert result.exit_code == code, result.output
        assert "Traceback" not in result.output
        return result

    def json(self, *arguments: str, code: int = 0) -> Any:
        """Run one command and read the JSON on its standard output."""
        return json.loads(self.flask(*arguments, "--json", code=code).stdout)


@pytest.fixture
def terminal(make_gateway: Callable[..., Gateway]) -> Callable[..., Terminal]:
    """Open a terminal on a gateway, made as by ``make_gateway``."""
    return lambda *numbers, **env: Terminal(make_gateway(*numbers, **env))


@pytest.fixture
def desk(terminal: Callable[..., Terminal]) -> Terminal:
    """A terminal on a desk with the sandbox and one number."""
    return terminal(DESK)


def inbound(gateway: Gateway, text: str = "Are you open?", number: str = NUMBER) -> Message:
    """Let a text come in through the sandbox."""
    provider = gateway.providers["sandbox"]
    message = Message(direction="in", number=number, peer=PEER, text=text)
    gateway.receiver.receive(provider, provider.example(message))
    return gateway.store.read(lambda tx: messages.find(tx, limit=1))[0]


def given_up(gateway: Gateway, status: Status = Status.FAILED) -> Message:
    """A sent text whose job was given up."""
    message, _ = gateway.composer.submit(DEVICE, Reply(text="Yes", to=(PEER,)))

    def give_up(tx: Any) -> None:
        claimed = jobs.lease(tx, "worker", "send:sandbox", 1, time.time() + 1)
        jobs.give_up(tx, claimed[0], "The number is not in service.")
        statuses.advance(tx, message.id, status, code="4720", reason="Not in service.")

    gateway.store.write(give_up)
    return message


def commands() -> Iterator[tuple[str, ...]]:
    """The words of every command."""
    for top in COMMANDS:
        if isinstance(top, click.Group):
            yield from ((str(top.name), name) for name in top.commands)
        else:
            yield (str(top.name),)


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_every_command_explains_itself(desk: Terminal, words: tuple[str, ...]) -> None:
    usage, _, explanation = desk.flask(*words, "--help").output.partition("\n\n")
    assert usage.startswith("Usage:")
    assert explanation.strip()
    assert not explanation.strip().startswith("Options:")


# config


def test_a_desk_is_in_order_and_told_how_to_turn_the_rest_on(desk: Terminal) -> None:
    output = desk.flask("config", "check").output
    assert "Everything is in order." in output
    assert "Sandbox: on" in output
    assert "Bandwidth: off. To turn it on, set " + ", ".join(BANDWIDTH) in output
    assert "E-mail: off. To turn it on, set MAIL_HOST" in output


def test_a_service_in_order_shows_its_values_and_no_secret(
    terminal: Callable[..., Terminal],
) -> None:
    busy = terminal(PUBLIC, **PRODUCTION)
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
        ([DESK], {}, "Message Settings", f"{NUMBER} cannot send or receive: sandbox"),
        ([PUBLIC | {"emails": ["a@example.com"]}], {}, "MAIL_HOST", NUMBER),
        ([PUBLIC], {"MAIL_HOST": "smtp.example.com"}, "MAIL_FROM_ADDRESS", "no mail"),
    ],
)
def test_what_should_be_mended_is_named_with_its_remedy(
    terminal: Callable[..., Terminal],
    numbers: list[dict[str, Any]],
    env: dict[str, str],
    where: str,
    words: str,
) -> None:
    troubled = terminal(*numbers, **PRODUCTION | env)
    [problem] = troubled.json("config", "check", code=1)["problems"]
    assert problem["variable"] == where
    assert words in problem["reason"]
    assert problem["remedy"]
    assert f"To mend: {where}" in troubled.flask("config", "check", code=1).output


def test_a_resting_number_needs_no_carrier_and_no_mail(terminal: Callable[..., Terminal]) -> None:
    resting = DESK | {"emails": ["a@example.com"], "enabled": False}
    terminal(resting, **PRODUCTION).flask("config", "check")


def test_a_broken_settings_file_is_reported_with_its_line(desk: Terminal, tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('{"numbers": [\n  {"number": }]}')
    assert "line 2, column 14" in desk.flask("config", "check", code=1).output
    listed = desk.flask("settings", "list")
    assert NUMBER in listed.stdout, "the last good settings are shown"
    assert "line 2, column 14" in listed.stderr
    refused = desk.flask("settings", "set", NUMBER, "--description", "x", code=1)
    assert "Mend the file first" in refused.stderr


def test_an_env_file_that_everybody_can_read_is_reported(desk: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "secrets.env"
    file.touch(mode=0o600)
    gateway = desk.app.extensions["gateway"]
    gateway.environment = replace(gateway.environment, file=file)
    desk.flask("config", "check")
    file.chmod(0o644)
    assert f"chmod 600 {file}" in desk.flask("config", "check", code=1).output


@pytest.fixture
def server_pid(tmp_path: Path) -> Iterator[Path]:
    """This process holds the lock of a running server and stands in its pid file."""
    file = tmp_path / "run" / "server.pid"
    file.parent.mkdir(exist_ok=True)
    with FileLock(tmp_path / "server.lock"):
        file.write_text(f"{os.getpid()}\n")
        yield file


def test_an_env_file_that_the_server_has_not_read_is_reported(
    desk: Terminal, tmp_path: Path, server_pid: Path
) -> None:
    file = tmp_path / "changed.env"
    file.touch(mode=0o600)
    gateway = desk.app.extensions["gateway"]
    gateway.environment = replace(gateway.environment, file=file)
    read_at = server_pid.stat().st_mtime
    os.utime(file, (read_at - 60, read_at - 60))
    desk.flask("config", "check")
    os.utime(file, (read_at + 60, read_at + 60))
    assert "Run: flask config reload" in desk.flask("config", "check", code=1).output


@pytest.fixture
def hangups() -> Iterator[list[int]]:
    """The hang-up signals that this process gets."""
    got: list[int] = []
    before = signal.signal(signal.SIGHUP, lambda number, _: got.append(number))
    yield got
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("server_pid")
def test_reload_tells_the_running_server(desk: Terminal, hangups: list[int]) -> None:
    assert str(os.getpid()) in desk.flask("config", "reload").output
    assert hangups == [signal.SIGHUP]


def test_reload_leaves_a_stranger_alone_whose_number_a_dead_server_had(
    desk: Terminal, tmp_path: Path, hangups: list[int]
) -> None:
    (tmp_path / "run").mkdir(exist_ok=True)
    (tmp_path / "run" / "server.pid").write_text(str(os.getpid()))
    assert "make run" in desk.flask("config", "reload", code=1).stderr
    assert hangups == []


# webhooks


def test_webhook_addresses_are_ready_to_paste(terminal: Callable[..., Terminal]) -> None:
    busy = terminal(**PRODUCTION)
    url = busy.gateway.providers["bandwidth"].webhook_url
    output = busy.flask("webhooks").output
    assert f"  {url}\n" in output
    assert "callback URL" in output
    [told] = busy.json("webhooks")
    assert (told["carrier"], told["url"]) == ("bandwidth", url)


def test_webhook_addresses_of_a_desk_say_that_nobody_can_reach_them(desk: Terminal) -> None:
    assert "this machine only" in desk.flask("webhooks").stderr


# settings


def test_a_number_is_added_written_any_usual_way(
    terminal: Callable[..., Terminal], database: str
) -> None:
    empty = terminal(DATABASE_URL=database)
    assert "No number yet" in empty.flask("settings", "list").output
    empty.flask(
        *("settings", "set", "(202) 555-0100", "--carrier", "sandbox", "--description", "Desk"),
        *("--extension", "201", "--extension", "202", "--email", "a@example.com"),
    )
    document = empty.json("settings", "list")
    assert document == json.loads(empty.gateway.settings.document())
    [entry] = document["numbers"]
    assert (entry["number"], entry["extensions"]) == (NUMBER, ["201", "202"])


@pytest.mark.parametrize(
    ("options", "changed"),
    [
        (["--extension", "300"], {"extensions": ["300"]}),
        (["--extension", ""], {"extensions": []}),
        (["--no-extensions"], {"extensions": []}),
        (["--email", "b@example.com", "--email", "c@example.com"],
         {"emails": ["b@example.com", "c@example.com"]}),
        (["--no-emails"], {"emails": []}),
        (["--description", ""], {"description": ""}),
        (["--sender-id", "ACME"], {"sender_id": "ACME"}),
        (["--sender-id", ""], {"sender_id": None}),
        (["--disable"], {"enabled": False}),
        (["--carrier", "bandwidth"], {"carrier": "bandwidth"}),
        ([], {}),
    ],
)  # fmt: skip
def test_only_what_is_given_changes(
    terminal: Callable[..., Terminal], options: list[str], changed: dict[str, Any]
) -> None:
    before = {
        **DESK,
        "emails": ["a@example.com"],
        "sender_id": "Desk",
        "description": "Front desk",
        "enabled": True,
    }
    full = terminal(before)
    full.flask("settings", "set", "1-202-555-0100", *options)
    [after] = full.json("settings", "list")["numbers"]
    assert after == before | changed


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["nonsense", "--carrier", "sandbox"], 1, "number: “nonsense” is not a phone number"),
        ([NUMBER, "--carrier", "carrot"], 1, "carrier: “carrot” is no carrier. Write one of"),
        ([NUMBER, "--extension", "2 01"], 1, "extensions[0]: An extension has"),
        ([NUMBER, "--email", "nobody"], 1, "emails[0]: it must be one e-mail address"),
        ([NUMBER, "--description", "x" * 201], 1, "description: "),
        (["+12025550199", "--extension", "201"], 2, "say which carrier"),
        ([NUMBER, "--no-emails", "--email", "a@example.com"], 2, "not both"),
        ([], 2, "NUMBER"),
    ],
)
def test_a_wrong_setting_is_refused_naming_what_is_wrong(
    desk: Terminal, arguments: list[str], code: int, words: str
) -> None:
    before = desk.gateway.settings.document()
    assert words in desk.flask("settings", "set", *arguments, code=code).stderr
    assert desk.gateway.settings.document() == before


def test_a_number_is_removed_once(desk: Terminal) -> None:
    desk.flask("settings", "remove", "202-555-0100")
    assert desk.json("settings", "list")["numbers"] == []
    assert "not in Message Settings" in desk.flask("settings", "remove", NUMBER, code=1).stderr


def test_what_is_still_missing_for_a_number_is_told(desk: Terminal) -> None:
    told = desk.flask("settings", "set", NUMBER, "--carrier", "bandwidth", "--no-extensions").stderr
    assert "bandwidth is not configured" in told
    assert "Nobody gets" in told
    assert "MAIL_HOST" in desk.flask("settings", "set", NUMBER, "--email", "a@example.com").stderr


def test_the_settings_can_be_edited_by_hand_on_each_database(
    terminal: Callable[..., Terminal], database: str, tmp_path: Path
) -> None:
    desk = terminal(DESK, DATABASE_URL=database)
    file = tmp_path / "exported.json"
    desk.flask("settings", "export", str(file))
    assert "exists" in desk.flask("settings", "export", str(file), code=2).stderr
    document = json.loads(file.read_bytes())
    assert [entry["number"] for entry in document["numbers"]] == [NUMBER]
    document["numbers"].append(PUBLIC | {"number": "(202) 555-0101"})
    file.write_text(json.dumps(document))
    assert "2 numbers now" in desk.flask("settings", "import", str(file)).output
    assert len(desk.json("settings", "list")["numbers"]) == 2
    printed = desk.flask("settings", "export", "-").stdout
    file.write_text(printed.replace('"carrier"', '"carier"', 1))
    told = desk.flask("settings", "import", str(file), code=1).stderr
    assert "exported.json cannot be used: line 5" in told
    file.write_text("{\n ]")
    assert "line 2, column 2" in desk.flask("settings", "import", str(file), code=1).stderr
    assert desk.flask("settings", "export", "-").stdout == printed
    taken = desk.app.test_cli_runner().invoke(
        args=["settings", "import", "-"], input=settings_file()
    )
    assert taken.exit_code == 0
    assert desk.json("settings", "list")["numbers"] == []


def test_a_csv_file_is_exported_and_imported(
    terminal: Callable[..., Terminal], tmp_path: Path, database: str
) -> None:
    desk = terminal(DATABASE_URL=database)
    desk.flask("settings", "set", NUMBER, "--carrier", "sandbox", "--extension", "201")
    file = tmp_path / "numbers.csv"
    desk.flask("settings", "export", "--csv", str(file))
    same = desk.json("settings", "import", "--csv", "--dry-run", str(file))
    assert (same["unchanged"], same["imported"]) == (1, False)
    file.write_text("DID,Extension,Carrier,Color\n2025550100,202,,red\n2025550177,203,sandbox,\n")
    before = desk.flask("settings", "export", "-").stdout
    told = desk.flask("settings", "import", "--csv", "--dry-run", str(file))
    assert "Assigned Extension: 201 → 202" in told.stdout
    assert "1 added, 1 changed, 0 unchanged, 0 refused" in told.stdout
    assert "these columns: Color" in told.stderr
    assert desk.flask("settings", "export", "-").stdout == before
    assert desk.json("settings", "import", "--csv", str(file))["imported"] is True
    numbers = desk.json("settings", "list")["numbers"]
    assert [entry["extensions"] for entry in numbers] == [["202"], ["203"]]
    assert "+12025550177" in desk.flask("settings", "list", "--search", "203").stdout
    assert "No such number." in desk.flask("settings", "list", "--search", "zzz").stdout


def test_a_csv_file_with_a_bad_line_changes_nothing(desk: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "numbers.csv"
    file.write_text("number,carrier\n2025550177,sandbox\n2025550178,carrot\n")
    before = desk.gateway.settings.document()
    for options in (("--dry-run",), ()):
        told = desk.flask("settings", "import", "--csv", *options, str(file), code=1)
        assert re.search(r"3 +\+12025550178 +refused +Carrier: “carrot” is no carrier", told.stdout)
        assert "Nothing was imported" in told.stderr
    listed = desk.json("settings", "import", "--csv", str(file), code=1)
    assert [line["outcome"] for line in listed["lines"]] == ["added", "refused"]
    file.write_text("color\nred\n")
    assert "No column" in desk.flask("settings", "import", "--csv", str(file), code=1).stderr
    assert desk.gateway.settings.document() == before


def test_a_document_is_only_checked_when_that_is_asked(desk: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "new.json"
    file.write_text(settings_file())
    assert desk.json("settings", "import", "--dry-run", str(file)) == {
        "dry_run": True,
        "numbers": 0,
    }
    assert len(desk.json("settings", "list")["numbers"]) == 1


def test_several_numbers_change_or_go_at_once(desk: Terminal) -> None:
    other = "+12025550177"
    desk.flask("settings", "set", other, "--carrier", "sandbox")
    options = ("--carrier", "bandwidth", "--add-extension", "300", "--disable")
    changed = desk.json("settings", "change", "202-555-0100", other, *options)["numbers"]
    assert [entry["extensions"] for entry in changed] == [["201", "300"], ["300"]]
    assert {(entry["carrier"], entry["enabled"]) for entry in changed} == {("bandwidth", False)}
    assert "Say what" in desk.flask("settings", "change", NUMBER, code=2).stderr
    before = desk.gateway.settings.document()
    desk.flask("settings", "change", NUMBER, "+12025550199", "--enable", code=1)
    desk.flask("settings", "remove", NUMBER, "+12025550199", code=1)
    assert desk.gateway.settings.document() == before
    assert "2 numbers" in desk.flask("settings", "remove", NUMBER, other).output
    assert desk.json("settings", "list")["numbers"] == []


def test_broken_settings_are_exported_as_they_are_and_replaced_by_an_import(
    desk: Terminal, tmp_path: Path
) -> None:
    (tmp_path / FILE).write_text('{"numbers": [')
    assert desk.flask("settings", "export", "-").stdout == '{"numbers": ['
    (tmp_path / "good.json").write_text(settings_file(DESK))
    desk.flask("settings", "import", str(tmp_path / "good.json"))
    desk.flask("config", "check")
    assert desk.json("settings", "list")["numbers"][0]["number"] == NUMBER


def test_a_file_that_is_not_read_any_more_is_told_of(
    terminal: Callable[..., Terminal], postgres_url: str, tmp_path: Path
) -> None:
    big = terminal(DESK, DATABASE_URL=postgres_url)
    (tmp_path / FILE).write_text("{")
    for words in (("settings", "list"), ("config", "check")):
        assert f"{tmp_path / FILE} is not read any more" in big.flask(*words).stderr
    assert big.json("settings", "list")["numbers"][0]["number"] == NUMBER
    (tmp_path / FILE).unlink()
    assert big.flask("settings", "list").stderr == ""


def test_the_published_schema_is_the_one_of_the_code(desk: Terminal) -> None:
    published = (ROOT / "docs" / "message_settings.schema.json").read_text(encoding="utf-8")
    assert published == desk.flask("settings", "schema").stdout, (
        "run: flask settings schema > docs/message_settings.schema.json"
    )


def entry(**changes: Any) -> dict[str, Any]:
    """A Message Settings file with one entry that differs from a good one."""
    return {"version": 1, "numbers": [PUBLIC | changes]}


@pytest.mark.parametrize(
    ("document", "good"),
    [
        (entry(), True),
        (entry(extensions=[201, "202"], emails=["a@example.com"], sender_id=None), True),
        (entry(sender_id="ACME", description="Front desk", enabled=False), True),
        ({"numbers": []}, True),
        ({"version": 1, "numbers": [{"number": NUMBER, "carrier": "sandbox"}]}, True),
        ({}, False),
        ([], False),
        ({"version": 2, "numbers": []}, False),
        ({"numbers": {}}, False),
        ({"numbers": [], "nubmers": []}, False),
        ({"numbers": [NUMBER]}, False),
        ({"numbers": [{"number": NUMBER}]}, False),
        ({"numbers": [{"carrier": "sandbox"}]}, False),
        (entry(number=None), False),
        (entry(number=12025550100), False),
        (entry(carrier="carrot"), False),
        (entry(extention="201"), False),
        (entry(extensions="201"), False),
        (entry(extensions=[True]), False),
        (entry(extensions=[""]), False),
        (entry(extensions=["2 01"]), False),
        (entry(extensions=["2" * 33]), False),
        (entry(emails=["nobody"]), False),
        (entry(emails=["a@example.com, b@example.com"]), False),
        (entry(emails=[None]), False),
        (entry(sender_id="x" * 33), False),
        (entry(description="x" * 201), False),
        (entry(description=None), False),
        (entry(enabled="yes"), False),
        (entry(enabled=None), False),
    ],
)
def test_the_schema_agrees_with_what_reads_the_file(
    tmp_path: Path, document: Any, good: bool
) -> None:
    (tmp_path / FILE).write_text(json.dumps(document))
    store = Store(None, tmp_path)
    settings = open_settings(store, tmp_path, "US")
    store.close()
    assert (settings.problem is None) == good, settings.problem
    assert Draft202012Validator(json_schema()).is_valid(document) == good


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(json_schema())


# devices


def test_a_device_gets_a_token_that_works_until_it_is_revoked(desk: Terminal) -> None:
    made = desk.json("devices", "add", "201", "--name", "Reception")
    assert set(made) == {"device_id", "token", "extension", "name"}
    assert (made["extension"], made["name"]) == ("201", "Reception")
    store = desk.gateway.store
    device = store.read(lambda tx: devices.by_token(tx, made["token"]))
    assert device is not None
    assert device.id == made["device_id"]
    [listed] = desk.json("devices", "list", "--extension", "201")
    assert (listed["device_id"], listed["name"]) == (device.id, "Reception")
    assert made["token"] not in desk.flask("devices", "list").output
    assert desk.json("devices", "list", "--extension", "202") == []
    desk.flask("devices", "revoke", device.id)
    assert store.read(lambda tx: devices.by_token(tx, made["token"])) is None
    assert "There is no device" in desk.flask("devices", "revoke", device.id, code=1).stderr


def test_a_token_is_shown_to_people_with_a_warning(desk: Terminal) -> None:
    result = desk.flask("devices", "add", "201", "--name", "Reception")
    assert "Token:         tb_" in result.output
    assert "shown this once" in result.output
    assert result.stderr == ""


def test_a_pairing_code_stands_for_its_extension_once(desk: Terminal) -> None:
    told = desk.json("devices", "pair", "201")
    assert (told["extension"], told["expires_in"]) == ("201", 600)
    use = desk.gateway.store.write
    assert use(lambda tx: devices.use_pairing(tx, told["code"])) == "201"
    assert use(lambda tx: devices.use_pairing(tx, told["code"])) is None
    shown = desk.flask("devices", "pair", "201").output
    assert "ten minutes" in shown
    assert "█" not in shown, "no QR code where it would be read by a program"


def test_a_pairing_link_keeps_its_code_from_the_log(terminal: Callable[..., Terminal]) -> None:
    told = terminal(PUBLIC, **PRODUCTION).json("devices", "pair", "201")
    assert told["link"] == f"https://sms.example.com/phone/#code={told['code']}"


def test_a_terminal_shows_the_pairing_link_as_a_qr_code(tmp_path: Path) -> None:
    env = Server(tmp_path / "storage", {}).env
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "devices", "pair", "201"]
    with subprocess.Popen(command, cwd=ROOT, env=env, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        output = b""
        with suppress(OSError):  # a terminal that was closed at its other end
            while part := os.read(ours, 4096):
                output += part
    os.close(ours)
    assert process.returncode == 0, output
    shown = output.decode().replace("\r\n", "\n")
    code = StringIO()
    segno.make_qr(re.findall("http[^ ]+#code=[A-Z0-9-]+", shown)[0]).terminal(code, compact=True)
    assert code.getvalue() in shown


@pytest.mark.parametrize("command", [("add", "--name", "x"), ("pair",)])
def test_an_extension_without_a_number_is_taken_with_a_note(
    desk: Terminal, command: tuple[str, ...]
) -> None:
    word, *options = command
    result = desk.flask("devices", word, "999", *options, "--json")
    assert "--extension 999" in result.stderr
    assert json.loads(result.stdout)["extension"] == "999"


@pytest.mark.parametrize("extension", ["2 01", "", "2" * 33, "201;"])
def test_what_is_no_extension_is_a_wrong_use(desk: Terminal, extension: str) -> None:
    assert "up to 32" in desk.flask("devices", "pair", extension, code=2).stderr
    desk.flask("devices", "add", "201", code=2)  # no name


# contacts


def test_contacts_are_set_listed_and_removed(desk: Terminal) -> None:
    desk.flask("contacts", "set", "(303) 555-0177", " Ann Example ")
    desk.flask("contacts", "set", PEER, f"Ann {NASTY}")
    assert desk.json("contacts", "list") == [{"number": PEER, "name": f"Ann {NASTY}"}]
    assert "\x1b" not in desk.flask("contacts", "list").output
    desk.flask("contacts", "remove", "303 555 0177")
    assert "has no name" in desk.flask("contacts", "remove", PEER, code=1).stderr
    assert "No contact" in desk.flask("contacts", "list").output
    assert "1 to 100" in desk.flask("contacts", "set", PEER, "  ", code=1).stderr
    assert "neither" in desk.flask("contacts", "set", "?", "Ann", code=1).stderr


def test_contacts_are_imported_all_or_none(desk: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "contacts.csv"
    file.write_text(
        '\ufeffName,Company,Number\n"Example, Ann",Acme,303-555-0177\nParcels,,72404\n', "utf-8"
    )
    assert "2 contacts" in desk.flask("contacts", "import", str(file)).output
    wanted = [{"number": PEER, "name": "Example, Ann"}, {"number": "72404", "name": "Parcels"}]
    assert desk.json("contacts", "list") == wanted
    file.write_text("number,name\n+13035550188,Bob\nnonsense!,Eve\n", "utf-8")
    assert "Line 3" in desk.flask("contacts", "import", str(file), code=1).stderr
    file.write_text("number,name\n+13035550188\n", "utf-8")
    assert "Line 2" in desk.flask("contacts", "import", str(file), code=1).stderr
    file.write_text("phone,who\n+13035550188,Bob\n", "utf-8")
    assert "name the columns" in desk.flask("contacts", "import", str(file), code=1).stderr
    file.write_bytes("number,name\n+13035550188,Jörg\n".encode("latin-1"))
    assert "CSV UTF-8" in desk.flask("contacts", "import", str(file), code=1).stderr
    file.write_text(f"number,name\n+13035550188,{'x' * 200_000}\n", "utf-8")
    assert "field larger" in desk.flask("contacts", "import", str(file), code=1).stderr
    assert desk.json("contacts", "list") == wanted


# messages


def test_messages_are_listed_by_what_is_asked_for(desk: Terminal) -> None:
    came = inbound(desk.gateway, "first")
    lost = inbound(desk.gateway, "nobody's", "+12025550109")
    sent, _ = desk.gateway.composer.submit(DEVICE, Reply(text="back", to=("+13035550178",)))

    def ids(*options: str) -> list[str]:
        return [message["id"] for message in desk.json("messages", "list", *options)]

    assert ids() == [sent.id, lost.id, came.id]
    assert ids("--limit", "1") == [sent.id]
    assert ids("--unrouted") == [lost.id]
    assert ids("--status", "queued") == [sent.id]
    assert ids("--number", "(202) 555-0100") == [sent.id, came.id]
    assert ids("--peer", "303 555 0178") == [sent.id]
    assert ids("--peer", "72404") == []
    assert ids("--text", "FIRS") == [came.id]
    assert ids("--text", "nobody") == ids("--text", "nobody", "--number", "2025550109") == [lost.id]
    assert ids("--text", "nobody", "--number", NUMBER) == ids("--text", "!") == []
    table = desk.flask("messages", "list").output.splitlines()
    assert [line.split()[0] for line in table[1:]] == [sent.id, lost.id, came.id]
    assert "unrouted" in table[2]


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--number", "nonsense"], 1),
        (["--status", "gone"], 2),
        (["--limit", "0"], 2),
        (["--dead", "--unrouted"], 2),
        (["--dead", "--text", "x"], 2),
        (["--since", "yesterday"], 1),
        (["--direction", "up"], 2),
        (["--carrier", "nobody"], 2),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(
    desk: Terminal, options: list[str], code: int
) -> None:
    assert "Error: " in desk.flask("messages", "list", *options, code=code).stderr


def test_a_text_cannot_play_with_the_terminal(desk: Terminal) -> None:
    message = inbound(desk.gateway, NASTY)
    listed = desk.flask("messages", "list").output
    shown = desk.flask("messages", "show", message.id).output
    scripted = desk.flask("messages", "list", "--json").output
    for output in (listed, shown, scripted):
        assert not any(character in output for character in "\x1b\x9b\u202e\r")
    assert "pay\\u202egpj.exe\\x1b[2J\\nnow" in listed
    assert "  pay\\u202egpj.exe\\x1b[2J\n  now" in shown
    assert json.loads(scripted)[0]["text"] == NASTY


def test_emoji_stay_whole(desk: Terminal) -> None:
    inbound(desk.gateway, "family 👩‍👧 ❤️")
    assert "family 👩‍👧 ❤️" in desk.flask("messages", "list").output


def test_a_message_is_shown_with_its_attempts_and_receipts(desk: Terminal) -> None:
    message = given_up(desk.gateway)
    told = DeliveryStatus(
        Status.FAILED, "refused", None, message.id, PEER, "4720", "Not in service."
    )
    desk.gateway.store.write(lambda tx: statuses.record_status(tx, "sandbox", told))
    shown = desk.flask("messages", "show", message.id).output
    for words in (message.id, "outbound", "4720 Not in service.", "given up", "refused", "  Yes\n"):
        assert words in shown
    content = desk.json("messages", "show", message.id)
    assert content["error"] == {"code": "4720", "reason": "Not in service."}
    [job] = content["jobs"]
    assert (job["kind"], job["state"], job["attempts"]) == ("send", "dead", 1)
    assert job["error"] == "The number is not in service."
    [receipt] = content["receipts"]
    assert (receipt["event"], receipt["code"], receipt["peer"]) == ("refused", "4720", PEER)


def test_a_message_that_is_not_there_is_said_so(desk: Terminal) -> None:
    for command in ("show", "retry"):
        assert "There is no" in desk.flask("messages", command, "nothing", code=1).stderr


def test_what_was_given_up_is_listed_and_tried_again(desk: Terminal) -> None:
    assert "Nothing was given up" in desk.flask("messages", "list", "--dead").output
    message = given_up(desk.gateway)
    assert "The number is not in service." in desk.flask("messages", "list", "--dead").output
    [letter] = desk.json("messages", "list", "--dead")
    assert (letter["message_id"], letter["error"]) == (message.id, "The number is not in service.")
    assert "Due again: send" in desk.flask("messages", "retry", message.id).output
    assert desk.json("messages", "list", "--dead") == []
    assert desk.json("messages", "show", message.id)["status"] == "queued"
    assert "Nothing was given up" in desk.flask("messages", "retry", message.id).output


def test_what_may_have_been_sent_is_sent_again_only_on_request(desk: Terminal) -> None:
    message = given_up(desk.gateway, Status.UNKNOWN)
    refused = desk.flask("messages", "retry", message.id, code=1).stderr
    assert "--resend-unknown" in refused
    assert len(desk.json("messages", "list", "--dead")) == 1
    desk.flask("messages", "retry", message.id, "--resend-unknown")
    assert desk.json("messages", "list", "--dead") == []


def test_one_part_or_everything_of_a_kind_is_tried_again(desk: Terminal) -> None:
    first, second = given_up(desk.gateway), given_up(desk.gateway)
    doubtful = given_up(desk.gateway, Status.UNKNOWN)
    dead = {one["message_id"]: str(one["id"]) for one in desk.json("messages", "list", "--dead")}
    part = ("--job", dead[first.id])
    assert "Nothing" in desk.flask("messages", "retry", second.id, *part).output
    assert "Due again" in desk.flask("messages", "retry", first.id, *part).output
    desk.flask("messages", "retry", "--all", "send", code=1)  # asked first, and nobody answers
    assert len(desk.json("messages", "list", "--dead")) == 2
    told = desk.flask("messages", "retry", "--all", "send", "--yes").output
    assert told.endswith("Due again: 1. Left alone: 1.\n")
    assert [one["message_id"] for one in desk.json("messages", "list", "--dead")] == [doubtful.id]


@pytest.mark.parametrize(
    "arguments",
    [
        ("retry",),
        ("retry", "x", "--all", "send"),
        ("retry", "--all", "nothing"),
        ("settle", "x"),
    ],
)
def test_what_to_set_right_must_be_said(desk: Terminal, arguments: tuple[str, ...]) -> None:
    desk.flask("messages", *arguments, code=2)


def test_what_may_have_been_sent_is_settled(desk: Terminal) -> None:
    sent, again = (given_up(desk.gateway, Status.UNKNOWN) for _ in range(2))
    assert "it was sent" in desk.flask("messages", "settle", sent.id, "--sent").output
    assert "sent again" in desk.flask("messages", "settle", again.id, "--send-again").output
    shown = desk.json("messages", "show", sent.id)
    assert shown["status"] == "sent"
    assert shown["timeline"][-1]["title"] == "The operator says that it was sent"
    assert desk.json("messages", "show", again.id)["status"] == "queued"
    for way in ("--sent", "--send-again"):
        assert "It is known" in desk.flask("messages", "settle", sent.id, way, code=1).stderr


def test_what_waits_for_a_number_is_delivered(desk: Terminal) -> None:
    inbound(desk.gateway, number="+12025550109")
    assert desk.json("messages", "route") == {"delivered": 0}
    desk.flask("settings", "set", "2025550109", "--carrier", "sandbox", "--extension", "202")
    assert desk.flask("messages", "route").output.splitlines()[-1] == "1 delivered."


def test_messages_are_exported_as_they_were_chosen(desk: Terminal, tmp_path: Path) -> None:
    inbound(desk.gateway, "=1+1")
    desk.gateway.composer.submit(DEVICE, Reply(text="mine", to=(PEER,)))
    target = tmp_path / "out.csv"
    desk.flask("messages", "export", str(target), "--direction", "in")
    rows = list(csv.DictReader(io.StringIO(target.read_text("utf-8-sig"), newline="")))
    assert [(row["direction"], row["number"], row["text"]) for row in rows] == [
        ("in", NUMBER, "'=1+1")
    ]
    written = desk.flask("messages", "export", "-", "--json", "--text", "mine").stdout
    assert [message["text"] for message in json.loads(written)] == ["mine"]


def test_a_call_is_dropped_after_a_question(desk: Terminal) -> None:
    provider = desk.gateway.providers["sandbox"]
    query = f"token={provider.webhook_token}"
    desk.gateway.receiver.receive(provider, WebhookCall("POST", {}, query, b'["odd"]'))
    [row] = desk.json("quarantine", "list")
    desk.flask("quarantine", "drop", str(row["id"]), code=1)
    assert desk.json("quarantine", "list") == [row]
    desk.flask("quarantine", "drop", str(row["id"]), "--yes")
    assert desk.json("quarantine", "list") == []
    desk.flask("quarantine", "drop", str(row["id"]), "--yes", code=1)


# media


def test_a_bucket_is_tried_out_and_its_secret_is_hidden(
    terminal: Callable[..., Terminal],
) -> None:
    with S3Server() as server:
        shop = terminal(PUBLIC, **PRODUCTION, **server.env)
        checked, shown = shop.flask("config", "check"), shop.flask("config", "show")
        for result in (checked, shown):
            assert f"MEDIA_S3_BUCKET={server.env['MEDIA_S3_BUCKET']}" in result.output
            assert "MEDIA_S3_SECRET_KEY=••••••••" in result.output
            assert server.env["MEDIA_S3_SECRET_KEY"] not in result.output
        assert {"PUT", "GET", "DELETE"} == set(server.methods())
        assert server.objects == {}
        server.broken = Fault(403, "AccessDenied")
        mended = shop.flask("config", "check", code=1).output
        assert "To mend: The MEDIA_S3_ variables: do not work" in mended
        assert "The access key may not do that" in mended


def test_without_a_bucket_nothing_is_copied(desk: Terminal) -> None:
    assert "Set the MEDIA_S3_ variables" in desk.flask("media", "copy", code=1).stderr
    assert "To turn it on, set MEDIA_S3_ENDPOINT" in desk.flask("config", "check").output


def test_attachments_are_copied_into_a_bucket_once_and_after_a_fault_to_the_end(
    terminal: Callable[..., Terminal], tmp_path: Path
) -> None:
    ids = [uuid7() for _ in range(30)]
    for file_id in ids:
        Folder(tmp_path / "media").put(file_id, [b"GIF89a" + file_id.encode()], 1000)
    (tmp_path / "media" / "ab" / "x.part").parent.mkdir(exist_ok=True)
    (tmp_path / "media" / "ab" / "x.part").write_bytes(b"half")
    with S3Server() as server:
        shop = terminal(DESK, **server.env)
        server.faults.extend([Fault()] * 40 + [Fault(503, "SlowDown")] * 60)
        first = shop.json("media", "copy", code=1)
        assert "503" in first["stopped"]
        assert 0 < first["copied"] < 30
        assert first["copied"] + first["waiting"] == 30
        server.faults.clear()
        second = shop.json("media", "copy")
        assert second["ok"]
        assert second["waiting"] == 0
        assert first["copied"] + second["copied"] <= 30 == second["copied"] + second["already"]
        assert {key: content for key, (content, _) in server.objects.items()} == {
            file_id: b"GIF89a" + file_id.encode() for file_id in ids
        }
        server.objects[ids[0]] = (b"something else", {})
        result = shop.flask("media", "copy", code=1)
        assert "0 copied (0 bytes), 29 were there already, 0 are still" in result.stdout
        assert f"{ids[0]} is in the bucket with another content" in result.stderr


def test_a_backup_says_that_the_bucket_is_not_in_it(
    terminal: Callable[..., Terminal], tmp_path: Path
) -> None:
    with S3Server() as server:
        shop = terminal(DESK, **server.env)
        told = shop.flask("backup", str(tmp_path / "copies")).stderr
        assert "in the bucket are not in this copy" in told


# quarantine


def quarantined(gateway: Gateway, body: bytes) -> None:
    """Let something come in that the sandbox cannot read."""
    provider = gateway.providers["sandbox"]
    token = gateway.environment.webhook_token("sandbox")
    gateway.receiver.receive(provider, WebhookCall("POST", {}, f"token={token}", body))


def test_quarantine_is_listed_and_shown_without_playing_with_the_terminal(desk: Terminal) -> None:
    assert "empty" in desk.flask("quarantine", "list").output
    quarantined(desk.gateway, b'{"id":\x1b[2J \xff\n "to": 3')
    [row] = desk.json("quarantine", "list")
    assert row["carrier"] == "sandbox"
    assert str(row["id"]) in desk.flask("quarantine", "list").output
    shown = desk.flask("quarantine", "show", str(row["id"])).output
    assert '{"id":\\x1b[2J �\n "to": 3' in shown
    assert "token" not in shown
    assert "There is no call" in desk.flask("quarantine", "show", "77", code=1).stderr


def test_what_can_be_read_by_now_is_replayed(
    desk: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    quarantined(desk.gateway, b"still nonsense")
    quarantined(desk.gateway, b"understood by the next version")
    before = [row["id"] for row in desk.json("quarantine", "list")]
    sandbox = desk.gateway.providers["sandbox"]
    understood = Message(direction="in", number=NUMBER, peer=PEER, provider_id="q-1", text="Hello")
    parse = sandbox.parse
    monkeypatch.setattr(
        sandbox, "parse", lambda call: [understood] if b"next" in call.body else parse(call)
    )
    result = desk.flask("quarantine", "replay", "--all", code=1)
    assert f"{before[1]}: received" in result.stdout
    assert "1 of 2 could be read." in result.stdout
    assert f"{before[0]}: " in result.stderr
    assert [row["id"] for row in desk.json("quarantine", "list")] == before[:1]
    assert desk.json("messages", "list")[0]["text"] == "Hello"
    desk.flask("quarantine", "replay", str(before[0]), code=1)
    desk.flask("quarantine", "replay", str(before[1]), code=1)  # it was replayed already


@pytest.mark.parametrize("arguments", [[], ["1", "--all"], ["first"], ["9" * 30]])
def test_replay_wants_one_call_or_all(desk: Terminal, arguments: list[str]) -> None:
    desk.flask("quarantine", "replay", *arguments, code=2)


# simulate

TEXT = ("--from", "303-555-0177", "--to", "202-555-0100", "--text", "Are you open?")


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
    terminal: Callable[..., Terminal],
    serve: Callable[[Flask], str],
    carrier: str,
    env: dict[str, str],
) -> None:
    busy = terminal(DESK | {"carrier": carrier}, **env)
    line = ["simulate", carrier, *TEXT, "--url", serve(busy.app)]
    if payload_files.signing_key(carrier) is not None:
        folder = payload_files.FOLDER / carrier
        for key in ((), ("--signing-key", str(folder / "other_signing_key.pem"))):
            assert busy.flask(*line, *key, code=1).stderr
        line += ["--signing-key", str(folder / "signing_key.pem")]
    result = busy.flask(*line)
    assert f"took the text to {NUMBER}" in result.output
    [message] = busy.json("messages", "list")
    assert (message["from"], message["text"], message["routed"]) == (PEER, "Are you open?", True)
    assert message["carrier"] == carrier


def test_a_key_is_not_needed_where_we_have_the_secret(desk: Terminal, tmp_path: Path) -> None:
    (tmp_path / "key.pem").touch()
    line = ("simulate", "sandbox", *TEXT, "--signing-key", str(tmp_path / "key.pem"))
    assert "needs no --signing-key" in desk.flask(*line, code=2).stderr


def test_a_simulated_picture_comes_in(
    terminal: Callable[..., Terminal], serve: Callable[[Flask], str]
) -> None:
    busy = terminal(PUBLIC, **BANDWIDTH)
    link = "https://messaging.bandwidth.com/api/v2/users/9900001/media/a/0/roof.jpg"
    line = ("--from", PEER, "--to", NUMBER, "--media-url", link)
    busy.flask("simulate", "bandwidth", *line, "--url", serve(busy.app))
    [message] = busy.json("messages", "list")
    assert [file["name"] for file in message["media"]] == ["roof.jpg"]


def test_a_simulated_text_that_nobody_gets_is_kept_with_a_note(
    terminal: Callable[..., Terminal], serve: Callable[[Flask], str]
) -> None:
    empty = terminal()
    service = empty.gateway.environment.service
    port = int(serve(empty.app).rpartition(":")[2])
    empty.gateway.environment = replace(
        empty.gateway.environment, service=replace(service, port=port)
    )
    assert f"settings set {NUMBER}" in empty.flask("simulate", "sandbox", *TEXT).stderr
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
    desk: Terminal, arguments: list[str], code: int, words: str
) -> None:
    assert words in desk.flask("simulate", *arguments, code=code).stderr


@pytest.mark.parametrize(
    ("status", "words"),
    [(401, "flask config reload"), (404, "not on"), (503, "unwell"), (418, "short and stout")],
)
def test_a_refusal_of_the_server_is_put_into_words(
    desk: Terminal, serve: Callable[[Flask], str], status: int, words: str
) -> None:
    teapot = Flask("teapot")

    @teapot.post("/webhook/sandbox/sms")
    def refuse() -> tuple[dict[str, str], int]:
        return {"detail": "short and\x1b stout" if status != 418 else "short and stout"}, status

    told = desk.flask("simulate", "sandbox", *TEXT, "--url", serve(teapot), code=1).stderr
    assert str(status) in told
    assert words in told


# carriers


def test_carriers_are_listed_with_what_is_paused_and_why(desk: Terminal) -> None:
    assert "Nothing is paused." in desk.flask("carriers", "list").output
    until = time.time() + 600
    desk.gateway.store.write(
        lambda tx: circuit_breakers.pause(
            tx, "send:sandbox", until, "It does not accept the password.", config=True
        )
    )
    assert "It does not accept the password." in desk.flask("carriers", "list").output
    told = desk.json("carriers", "list")
    assert {"carrier": "sandbox", "title": "Sandbox", "on": True} in told["carriers"]
    assert {"carrier": "bandwidth", "title": "Bandwidth", "on": False} in told["carriers"]
    assert [pause["destination"] for pause in told["paused"]] == ["send:sandbox"]
    assert told["paused"][0]["needs_operator"] is True


# backup


def texts(database: Path) -> list[str]:
    """The texts in a copied database."""
    with closing(sqlite3.connect(database)) as connection:
        return [row[0] for row in connection.execute("SELECT text FROM messages ORDER BY seq")]


def test_a_backup_holds_everything_and_only_its_owner_can_read_it(
    desk: Terminal, tmp_path: Path
) -> None:
    inbound(desk.gateway, "keep me")
    picture = tmp_path / "media" / "0a" / "00000000-0000-0000-0000-00000000000a"
    picture.parent.mkdir(parents=True)
    picture.write_bytes(b"GIF89a")
    picture.with_suffix(".part").write_bytes(b"half a fil")
    desk.flask("backup", str(tmp_path / "copies"))
    [made] = (tmp_path / "copies").iterdir()
    assert made.name.startswith("textbridge-")
    files = {str(file.relative_to(made)): file for file in made.rglob("*") if file.is_file()}
    assert set(files) == {
        "textbridge.db",
        "message_settings.json",
        "app.key",
        f"media/0a/{picture.name}",
    }
    assert texts(files["textbridge.db"]) == ["keep me"]
    assert files[f"media/0a/{picture.name}"].read_bytes() == b"GIF89a"
    assert files["app.key"].read_bytes() == (tmp_path / "app.key").read_bytes()
    assert {stat.S_IMODE(file.stat().st_mode) for file in files.values()} == {0o600}
    assert stat.S_IMODE(made.stat().st_mode) == 0o700


def test_a_restored_backup_is_a_working_storage_folder(
    desk: Terminal, tmp_path: Path, make_gateway: Callable[..., Gateway]
) -> None:
    message = inbound(desk.gateway, "keep me")
    desk.flask("backup", str(tmp_path / "copies"))
    [made] = (tmp_path / "copies").iterdir()
    again = Terminal(make_gateway(STORAGE_PATH=str(made)))
    assert again.json("messages", "list")[0]["id"] == message.id
    assert again.json("settings", "list") == desk.json("settings", "list")
    assert again.gateway.environment.app_key == desk.gateway.environment.app_key


def test_a_backup_while_texts_come_in_holds_whole_messages(desk: Terminal, tmp_path: Path) -> None:
    stop = threading.Event()
    came: list[str] = []

    def write() -> None:
        while not stop.is_set():
            came.append(inbound(desk.gateway, f"text {len(came)}").text)

    writer = threading.Thread(target=write)
    inbound(desk.gateway, "before")
    writer.start()
    try:
        for position in range(5):
            desk.flask("backup", str(tmp_path / f"{position}.db"))
    finally:
        stop.set()
        writer.join()
    for position in range(5):
        kept = texts(tmp_path / f"{position}.db")
        assert kept == ["before", *(f"text {n}" for n in range(len(kept) - 1))]


def test_a_backup_never_overwrites(desk: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "copy.db"
    desk.flask("backup", str(file))
    before = file.read_bytes()
    assert "never overwrites" in desk.flask("backup", str(file), code=1).stderr
    assert file.read_bytes() == before
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    letter = tmp_path / "letter.txt"
    letter.write_text("mine")
    assert "cannot be made" in desk.flask("backup", str(letter), code=1).stderr
    assert letter.read_text() == "mine"


def test_a_backup_that_fails_leaves_nothing_behind(desk: Terminal, tmp_path: Path) -> None:
    folder = tmp_path / "copies"
    (tmp_path / "message_settings.json").unlink()
    (tmp_path / "message_settings.json").mkdir()  # cannot be copied as a file
    assert "cannot be made" in desk.flask("backup", str(folder), code=1).stderr
    assert list(folder.iterdir()) == []


def test_a_backup_of_postgresql_says_what_it_does_not_hold(
    terminal: Callable[..., Terminal], postgres_url: str, tmp_path: Path
) -> None:
    big = terminal(DESK, DATABASE_URL=postgres_url)
    (tmp_path / FILE).write_text("not read any more")
    result = big.flask("backup", str(tmp_path / "copies"))
    assert "pg_dump" in result.stderr
    [made] = (tmp_path / "copies").iterdir()
    assert {file.name for file in made.iterdir()} == {"message_settings.json", "app.key", "media"}
    assert (made / FILE).read_bytes() == big.gateway.settings.document()
    assert stat.S_IMODE((made / FILE).stat().st_mode) == 0o600
    assert "pg_dump" in big.flask("backup", str(tmp_path / "copy.db"), code=1).stderr


# What can go wrong with any command


def test_arguments_that_are_no_text_do_no_harm(desk: Terminal) -> None:
    desk.flask("settings", "set", NUMBER, "--description", "Front\udcff desk")
    assert desk.json("settings", "list")["numbers"][0]["description"] == "Front\ufffd desk"
    desk.flask("devices", "add", "201", "--name", "\udcff")
    desk.flask("messages", "show", "\udcff", code=1)


# Arguments that cannot be used, and what the error says.
BAD_INPUT = {
    "devices pair": "EXTENSION",
    "devices pair 2/1": "up to 32 letters",
    "devices add 201": "--name",
    "devices add 201 --name=": "1 to 100 characters",
    "devices provision 201 --name=": "1 to 100 characters",
    "devices test nope": "flask devices list",
    "settings change +12025550199 --disable": "Check how it is written",
    "settings change abc --disable": "such as +12025550143",
    "settings import /proc/none": "No such file",
    "settings import README.md": "line 1, column 1: this is not JSON",
    "messages list --carrier nosuch": "'nosuch' is not one of 'bandwidth'",
    "messages list --status nosuch": "'nosuch' is not one of 'received'",
    "messages list --since never": "like 2026-11-20",
    "messages list --limit x": "--limit",
    "messages show nope": "flask messages list",
    "carriers list extra": "extra",
    "database copy extra": "extra",
}


@pytest.mark.parametrize(("typed", "words"), BAD_INPUT.items())
def test_bad_input_is_an_error_in_words_and_for_programs(
    desk: Terminal, typed: str, words: str
) -> None:
    result = desk.app.test_cli_runner().invoke(args=[*typed.split(), "--json"])
    assert result.exit_code in (1, 2)
    assert isinstance(result.exception, SystemExit), "no traceback"
    assert words in result.stderr
    [(name, sentence)] = json.loads(result.stdout).items()
    assert name == "error"
    assert words in sentence
    plainly = desk.app.test_cli_runner().invoke(args=typed.split())
    assert (plainly.exit_code, plainly.stdout) == (result.exit_code, "")


@pytest.mark.parametrize(
    ("typed", "words"),
    {
        "contacts remove +13035550199": "flask contacts list",
        "messages retry nope": "flask messages list",
        "messages settle nope --sent": "flask messages list",
        "messages recover --since never": "like 2026-11-20",
        "simulate sandbox --from 72404 --to +12025550100 --text x --url foo": "https://",
        "simulate sandbox --from 72404 --to +12025550100 --media-url cat.gif": "https://",
    }.items(),
)
def test_an_error_says_what_to_do(desk: Terminal, typed: str, words: str) -> None:
    result = desk.app.test_cli_runner().invoke(args=typed.split())
    assert result.exit_code in (1, 2)
    assert words in result.stderr


def test_an_export_that_is_refused_leaves_the_file_as_it_was(
    desk: Terminal, tmp_path: Path
) -> None:
    file = tmp_path / "messages.csv"
    file.write_text("of yesterday")
    desk.flask("messages", "export", str(file), "--number", "abc", code=1)
    assert file.read_text() == "of yesterday"
    desk.flask("messages", "export", str(file))
    assert "of yesterday" not in file.read_text()


def test_a_file_that_cannot_be_written_is_named(
    desk: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", "message_settings.lock")

    monkeypatch.setattr(MessageSettings, "put", refuse)
    told = desk.flask("settings", "set", NUMBER, "--description", "x", code=1).stderr
    assert told == "Error: message_settings.lock: Permission denied.\n"


def test_a_database_that_is_none_is_an_error_in_words(desk: Terminal, tmp_path: Path) -> None:
    desk.gateway.store.engine.dispose()
    (tmp_path / "textbridge.db-wal").unlink(missing_ok=True)
    (tmp_path / "textbridge.db").write_bytes(b"no database " * 1000)
    told = desk.flask("messages", "list", code=1).stderr
    assert told.startswith("Error: The database cannot take it now")


# As programs of their own


@pytest.mark.processes
def test_the_real_command_works_from_the_project_folder(tmp_path: Path) -> None:
    desk = Server(tmp_path, {})
    checked = desk.flask("config", "check")
    assert (checked.returncode, checked.stderr) == (0, "")
    assert "Everything is in order." in checked.stdout
    desk.flask("settings", "set", NUMBER, "--carrier", "sandbox", "--extension", "201")
    listed = desk.flask("settings", "list", "--json")
    assert json.loads(listed.stdout)["numbers"][0]["number"] == NUMBER
    added = desk.flask("devices", "add", "201", "--name", "app", "--json")
    assert added.stderr == ""
    assert set(json.loads(added.stdout)) == {"device_id", "token", "extension", "name"}
    dead = desk.flask("simulate", "sandbox", *TEXT)
    assert dead.returncode == 1
    assert f"No server answers at {desk.url}" in dead.stderr


@pytest.mark.processes
@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"BANDWIDTH_ACCOUNT_ID": "9900001", "PORT": "x"}, ["BANDWIDTH_API_SECRET", "PORT"]),
        ({"APP_ENV": "production", "APP_KEY": ""}, ["APP_KEY: is missing."]),
        (
            {"DATABASE_URL": "postgresql://127.0.0.1:1/none"},
            ["The database cannot", "DATABASE_URL"],
        ),
        ({"DATABASE_URL": "mysql://127.0.0.1/none"}, ["DATABASE_URL", "postgresql://"]),
        ({"DATABASE_URL": "postgresql://me:geheim@h:x/y", "DEFAULT_COUNTRY": "XX"}, ["%40", "XX"]),
        ({"STORAGE_PATH": "/proc/none"}, ["/proc/none", "STORAGE_PATH"]),
        ({"ENV_FILE": "/proc/none/.env"}, ["ENV_FILE: there is no file /proc/none/.env"]),
    ],
)
def test_a_broken_environment_is_explained_without_a_traceback(
    tmp_path: Path, env: dict[str, str], words: list[str]
) -> None:
    checked = Server(tmp_path, env).flask("config", "check")
    assert (checked.returncode, checked.stdout) == (1, "")
    assert "Traceback" not in checked.stderr
    assert "geheim" not in checked.stderr
    for word in words:
        assert word in checked.stderr


@pytest.mark.processes
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_by_itself_delivers_until_it_is_told_to_stop(
    tmp_path: Path, number: signal.Signals
) -> None:
    desk = Server(tmp_path, {})
    worker = start(
        sys.executable,
        "-m",
        "flask",
        "--app",
        "wsgi",
        "worker",
        cwd=ROOT,
        env=desk.env,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert worker.stderr is not None
        assert "runs" in worker.stderr.readline()
        _send_and_wait(tmp_path)
        worker.send_signal(number)
        _, said = worker.communicate(timeout=PATIENCE)
    finally:
        worker.kill()
        worker.wait()
    assert worker.returncode == 0
    assert "has ended" in said
    assert "Traceback" not in said


def _send_and_wait(storage: Path) -> None:
    """Queue a text and wait until somebody has sent it."""
    (storage / "message_settings.json").write_text(json.dumps({"numbers": [DESK]}))
    key = "a key of the tests, long enough"
    gateway = Gateway(
        load_environment({"APP_ENV": "local", "APP_KEY": key, "STORAGE_PATH": str(storage)})
    )
    try:
        message, _ = gateway.composer.submit(DEVICE, Reply(text="Yes", to=(PEER,)))

        def is_sent() -> bool:
            now = gateway.store.read(lambda tx: messages.by_id(tx, message.id))
            return now is not None and now.status is Status.SENT

        eventually(is_sent)
    finally:
        gateway.close()


def test_a_job_of_every_kind_can_be_shown(desk: Terminal) -> None:
    message = inbound(desk.gateway)
    every = [Job(kind, message.id, "somewhere", target=f"t-{kind}") for kind in JobKind]
    desk.gateway.store.write(lambda tx: jobs.add(tx, every))
    shown = desk.flask("messages", "show", message.id).output
    for words in ("Handing it to somewhere", "Push to", "Mail to t-email", "Fetching t-fetch"):
        assert words in shown
    assert "Asking somewhere what became of it: due" in shown
