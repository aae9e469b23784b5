"""``flask setup`` in a terminal, against a fake of each carrier, and by options for scripts."""

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pexpect
import pytest

from blueprints.cli.setup_answers import public_address
from services.config import env_file, env_file_edit, variables
from services.providers import PROVIDERS
from tests.fakes.carriers import FAKES
from tests.processes import ends_with_parent
from tests.server import ROOT
from tests.waiting import PATIENCE

NUMBER = "+12025550143"
ADDRESS = "https://sms.example.com"
KINDS = {each.name: each for each in PROVIDERS}
KEPT = "# a line of mine\nAPP_NAME='Harbour  Cafe'\nAPP_URL=   # none yet\n"


@dataclass
class Place:
    """An installation with its ``.env``, and the carrier at which it is set up."""

    carrier: str
    fake: Any
    file: Path
    env: dict[str, str]

    @property
    def needed(self) -> list[variables.Variable]:
        kind = KINDS[self.carrier]
        return [v for v in variables.variables(kind.Settings, kind.prefix()) if v.required]

    def command(self, *options: str) -> list[str]:
        return ends_with_parent(sys.executable, "-m", "flask", "--app", "wsgi", "setup", *options)

    def terminal(self, *options: str) -> Any:
        program, *arguments = self.command(*options)
        return pexpect.spawn(
            program,
            arguments,
            cwd=str(ROOT),
            env=self.env,  # type: ignore[arg-type]
            timeout=PATIENCE,
            encoding="utf-8",
            dimensions=(50, 200),
        )

    def script(self, *options: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command("--yes", *options),
            cwd=ROOT,
            env={**self.env, **more},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def values(self) -> dict[str, str]:
        return env_file.read(self.file, {})


@pytest.fixture(params=FAKES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """A new installation, for each of the carriers."""
    with FAKES[request.param]() as fake:
        if request.param == "twilio":
            fake.add_number(NUMBER)
        if request.param == "wavix":
            fake.own(NUMBER[1:])
        file = tmp_path / "env"
        addresses = {name: at for name, at in fake.env.items() if name.endswith("_URL")}
        lines = "".join(f"{name}={at}\n" for name, at in addresses.items())
        storage = f"STORAGE_PATH={tmp_path}/storage\n"
        key = "APP_KEY=a key of the tests, long enough\nAPP_ENV=local\n"
        file.write_text(KEPT + key + storage + lines)
        file.chmod(0o600)
        env = {"PATH": os.environ["PATH"], "ENV_FILE": str(file), "FLASK_SKIP_DOTENV": "1"}
        yield Place(request.param, fake, file, {**env, "TERM": "xterm", "LANG": "C.UTF-8"})


def answer_credentials(place: Place, terminal: Any, values: dict[str, str]) -> None:
    for each in place.needed:
        terminal.expect_exact(f"{each.name}: ")
        terminal.expect(r": \Z|\]: ")
        terminal.sendline(values[each.name])


@pytest.mark.processes
def test_five_questions_lead_to_a_carrier_that_is_set_up(place: Place) -> None:
    right = {each.name: place.fake.env[each.name] for each in place.needed}
    wrong_name = next(v.name for v in reversed(place.needed) if v.secret)
    wrong = right | {
        wrong_name: right[wrong_name][:-1] + ("0" if right[wrong_name][-1] != "0" else "1")
    }
    terminal = place.terminal()
    terminal.logfile_read = seen = io.StringIO()
    terminal.expect_exact("1. Public address")
    terminal.sendline("http://sms.example.com")
    terminal.expect_exact("“http://sms.example.com” cannot be used: carriers and phones need https")
    terminal.sendline("https://127.0.0.1")
    terminal.expect_exact("cannot reach it")
    terminal.sendline("sms.example.com/")
    terminal.expect_exact("2. Your carrier")
    terminal.sendline("nobody")
    terminal.expect_exact("must be one of bandwidth, ")
    terminal.sendline(place.carrier)
    answer_credentials(place, terminal, wrong)
    terminal.expect_exact("FIX ")
    terminal.expect_exact("[e] enter these credentials again")
    terminal.sendline("(202) 555-0143")
    terminal.expect_exact("is not one of")
    terminal.expect_exact("[e] enter these credentials again")
    terminal.sendline("e")
    answer_credentials(place, terminal, right)
    terminal.expect_exact("accepts" if place.carrier != "voipms" else "takes")
    terminal.expect_exact("4. Your number")
    terminal.sendline("12")
    terminal.expect_exact("cannot be used")
    terminal.sendline("(202) 555-0143")
    terminal.expect_exact("5. Extension")
    terminal.sendline("two hundred")
    terminal.expect_exact("“two hundred” cannot be used: it must have 1 to 32 letters")
    terminal.expect_exact("and no spaces.")
    terminal.sendline("201")
    terminal.expect_exact("Write this?")
    terminal.sendline("")
    terminal.expect_exact("Paste this address at")
    terminal.expect_exact(f"{ADDRESS}/webhook/{place.carrier}/sms")
    terminal.expect_exact("devices pair 201")
    terminal.expect(pexpect.EOF)
    terminal.wait()
    told = seen.getvalue()
    assert terminal.exitstatus == 0, told
    assert "--" not in told, "who answers questions is told of no option"
    assert ".:" not in told
    values = place.values()
    assert {name: values[name] for name in right} == right
    assert (values["APP_ENV"], values["APP_URL"]) == ("production", ADDRESS)
    assert place.file.read_text().startswith(
        f"# a line of mine\nAPP_NAME='Harbour  Cafe'\nAPP_URL={ADDRESS} # none yet\n"
    )
    assert place.file.stat().st_mode & 0o777 == 0o600
    for each in place.needed:
        if each.secret:
            assert right[each.name] not in told, "a secret is on the screen"
    document = (place.file.parent / "storage/message_settings.json").read_text()
    assert NUMBER in document
    assert place.carrier in document
    again = place.script("--extension", "202")
    assert again.returncode == 0, again.stderr
    assert "belongs to extension 201 and 202" in again.stdout
    assert place.values() == values


def only(carrier: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("place", [carrier], indirect=True)


@pytest.mark.processes
@only("bandwidth")
def test_ctrl_c_at_any_question_leaves_everything_as_it_was(place: Place) -> None:
    before = place.file.read_bytes()
    answers = [
        ("1. Public address", ADDRESS),
        ("2. Your carrier", "1"),
        *((f"{v.name}: ", place.fake.env[v.name]) for v in place.needed),
        ("4. Your number", NUMBER),
        ("5. Extension", "201"),
        ("Write this?", ""),
    ]
    for stop in (0, 3, len(answers) - 1):
        terminal = place.terminal()
        for question, answer in answers[:stop]:
            terminal.expect_exact(question)
            terminal.sendline(answer)
        terminal.expect_exact(answers[stop][0])
        terminal.sendintr()
        terminal.expect_exact("Nothing was changed.")
        terminal.expect(pexpect.EOF)
        terminal.wait()
        assert terminal.exitstatus == 1
    assert place.file.read_bytes() == before
    assert not list(place.file.parent.glob("env.*"))
    assert not (place.file.parent / "storage/message_settings.json").exists()


@pytest.mark.processes
@only("twilio")
def test_a_script_gets_the_reason_and_nothing_is_written(place: Place) -> None:
    before = place.file.read_bytes()
    own = {name: value for name, value in place.fake.env.items() if not name.endswith("_URL")}
    options = ["--address", ADDRESS, "--carrier", "twilio", "--extension", "201"]
    missing = place.script(*options, "--number", NUMBER)
    assert "Set TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN" in missing.stderr
    foreign = place.script(*options, "--number", "+12025550199", **own)
    assert "is not a number of this Twilio account" in foreign.stdout
    assert foreign.returncode == 1
    assert place.file.read_bytes() == before
    done = place.script(*options, "--number", NUMBER, **own)
    assert done.returncode == 0, done.stderr
    assert "Still to do" in done.stdout, "the webhook is not pasted yet"
    assert place.values()["TWILIO_AUTH_TOKEN"] == own["TWILIO_AUTH_TOKEN"]
    assert own["TWILIO_AUTH_TOKEN"] not in done.stdout + done.stderr


@pytest.mark.processes
@only("twilio")
def test_a_script_is_told_of_all_missing_options_and_of_a_missing_terminal(place: Place) -> None:
    missing = place.script().stderr
    assert "these are missing: --address, --carrier, --number, --extension." in missing
    missing = place.script("--address", ADDRESS, "--number", NUMBER).stderr
    assert "these are missing: --carrier, --extension." in missing
    asked = subprocess.run(
        place.command(),
        cwd=ROOT,
        env=place.env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert asked.returncode == 1
    assert "no terminal" in asked.stderr
    assert "--yes" in asked.stderr
    assert asked.stdout == ""


@pytest.mark.processes
@only("bandwidth")
def test_a_half_written_file_is_set_up_and_a_broken_one_is_named(place: Place) -> None:
    with place.file.open("a") as file:
        file.write("APP_ENV=production\nBANDWIDTH_ACCOUNT_ID=\nBANDWIDTH_API_SECRET=abc\n")
    own = {name: value for name, value in place.fake.env.items() if not name.endswith("_URL")}
    options = ["--address", ADDRESS, "--carrier", "1", "--number", NUMBER, "--extension", "201"]
    done = place.script(*options, **own)
    assert done.returncode == 0, done.stderr
    assert place.values()["BANDWIDTH_API_SECRET"] == own["BANDWIDTH_API_SECRET"]
    with place.file.open("a") as file:
        file.write("PORT=none\n")
    assert "PORT" in place.script().stderr


@pytest.mark.processes
@only("bandwidth")
def test_without_a_network_the_answers_can_be_kept(place: Place) -> None:
    own = {name: value for name, value in place.fake.env.items() if not name.endswith("_URL")}
    away = {"BANDWIDTH_TOKEN_URL": "http://127.0.0.1:9/"}
    options = ["--address", ADDRESS, "--carrier", "1", "--number", NUMBER, "--extension", "201"]
    refused = place.script(*options, **own, **away)
    assert refused.returncode == 1
    assert "--unchecked" in refused.stderr
    assert "Bandwidth could not be asked about these credentials" in refused.stderr
    assert "does not take" not in refused.stderr
    kept = place.script(*options, "--unchecked", **own, **away)
    assert kept.returncode == 0
    assert "Not confirmed by Bandwidth yet: the credentials of Bandwidth and +1202" in kept.stdout
    assert "flask carriers check" in kept.stdout


@pytest.mark.processes
@only("bandwidth")
def test_a_carrier_that_was_not_reached_is_asked_again_with_the_same_answers(place: Place) -> None:
    own = {name: value for name, value in place.fake.env.items() if not name.endswith("_URL")}
    place.env |= own | {"BANDWIDTH_TOKEN_URL": "http://127.0.0.1:9/"}
    terminal = place.terminal("--address", ADDRESS, "--carrier", "bandwidth")
    for each in place.needed:
        terminal.expect_exact(f"{each.name}: ")
        terminal.expect(r": \Z|\]: ")
        terminal.sendline("")
    terminal.expect_exact("FIX Bandwidth could not be reached")
    terminal.expect_exact("[a] ask Bandwidth again, [e] enter these credentials again, [k] keep")
    terminal.sendline("")
    terminal.expect_exact("asking Bandwidth")
    terminal.expect_exact("FIX Bandwidth could not be reached")
    terminal.sendline("k")
    terminal.expect_exact("4. Your number")
    terminal.sendintr()
    terminal.expect(pexpect.EOF)
    terminal.wait()


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("sms.example.com", ADDRESS),
        ("sms.example.com:8443/sms/", f"{ADDRESS}:8443/sms"),
        ("HTTPS://sms.example.com/", ADDRESS),
    ],
)
def test_a_name_alone_is_an_https_address(written: str, address: str) -> None:
    assert public_address(written) == address


@pytest.mark.parametrize("written", ["http://sms.example.com", "ftp://sms.example.com"])
def test_another_scheme_is_refused_with_what_works(written: str) -> None:
    with pytest.raises(ValueError, match=r"need https, such as https://sms\.example\.com\.$"):
        public_address(written)


@pytest.mark.parametrize(
    "value",
    ["plain", "", "a b", "it's", 'say "x"', "a$b${HOME}", "back\\slash", "#5", "it's $5 \\n"],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_value_is_read_as_it_was_written(tmp_path: Path, value: str, end: str) -> None:
    file = tmp_path / "env"
    text = end.join(["A=1", "export B=old # why", "B='last'", 'C="one', 'two"', "D=4"])
    file.write_bytes(text.encode())
    env_file_edit.write(file, {"B": value, "NEW": value})
    read = env_file.read(file, {})
    assert (read["B"], read["NEW"]) == (value, value)
    assert (read["A"], read["D"]) == ("1", "4")
    assert (tmp_path / "env.before-setup").read_bytes() == text.encode()
