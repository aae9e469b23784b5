"""Plays the first hour in a fresh Debian system: a terminal, Chromium and a fake carrier.

    python -m tests.release.play_first_hour try ROOT
    python -m tests.release.play_first_hour install ROOT package|clone
    python -m tests.release.play_first_hour use ROOT package|clone CARRIER

``try`` plays the sections 1 and 2 of docs/first-hour.md in a new root (``fresh_root.make_root``),
``install`` goes on with sections 3 and 4, ``use`` with the rest, from ``flask setup`` at a carrier
to the first text and its answer. What is typed is read from the page, so that a step which the page
lacks fails. For a clone section 3 is left out, and ``sudo textbridge`` is typed as
``.venv/bin/flask`` (docs/install.md). Four things stand for what a root has not:

- The programs of systemd units are started by their ``ExecStart``, as their users.
- The variables of the carrier's addresses name the fake, and lines for them are in ``.env``.
- Caddy signs its certificate itself, and the name of the server leads to this machine.
- Chromium runs outside of the root. So does the phone of the person who texts: its text is the
  call that the carrier makes for it, posted to the address that ``flask setup`` says to paste.

Run it as root in namespaces of its own, see ``namespaces``; ``use`` has a network of its own, too.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests
from playwright.sync_api import sync_playwright

from services.config import variables
from services.core.messages import Message
from services.http.client import Http
from services.providers import PROVIDERS
from services.providers.base import Provider, ProviderContext
from tests.browser.conftest import OPTIONS, PROGRAMS
from tests.browser.phone.world import enter, said, write
from tests.fakes.carriers import FAKES
from tests.payload_files import signing_key
from tests.release.first_hour_page import WITHOUT_NUMBER, steps
from tests.release.fresh_root import HOST, USER, Terminal, mount_root, start_unit
from tests.waiting import PATIENCE, eventually

NUMBER, PEER = "+12025550143", "+13035550188"
ADDRESS = f"https://{HOST}"
LOCAL = "http://127.0.0.1:8000"  # on the page
CLONE = "cd textbridge"
ASKED, ANSWERED = "Are you open on Saturday?", "Yes, from nine to one."
CADDY_ROOT = "var/lib/caddy/.local/share/caddy/pki/authorities/local/root.crt"
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": False}


def namespaces(*, network: bool) -> list[str]:
    """The command that gives another one namespaces, with which all that it started ends."""
    own = ["--mount", "--pid", *(["--net"] if network else [])]
    return ["unshare", *own, "--fork", "--kill-child", "--mount-proc"]


def try_it(root: Path) -> None:
    """Sections 1 and 2: the sandbox, from a clone."""
    told, terminal = steps(), Terminal(root)
    *commands, make_run = told["1"]
    for command in commands:
        terminal.run(command.replace("<this repository>", "/srv/textbridge.git"))
    assert make_run == "make run"
    shown = terminal.start(make_run, "devices add 201 --name server")
    assert f"{LOCAL}/sandbox" in shown, "it says where it listens"
    assert [command.split()[0] for command in told["2"]] == ["ssh"], "to another machine"
    with chromium() as open_page:
        page = open_page(f"{LOCAL}/sandbox")
        page.locator("html[data-phone]").wait_for()
        page.get_by_role("button", name="Send from the phone outside").click()
        page.locator("#inside .words").first.wait_for()
        page.get_by_role("button", name="Send from the extension").click()
        page.locator("#outside .words").nth(1).wait_for()
    terminal.interrupt()


def install(root: Path, way: str) -> None:
    """Sections 3 and 4: the service and a web server in front."""
    told, terminal = steps(), Terminal(root)
    terminal.run(CLONE)
    for command in (*(told["3"] if way == "package" else ()), *told["4"]):
        if not command.startswith("sudo systemctl "):
            terminal.run(command)


def use(root: Path, way: str, carrier: str) -> None:
    """Sections 5 and 6, and what to do if a text does not arrive."""
    told, terminal = steps(), Terminal(root)
    terminal.run(CLONE)
    file = root / (f"home/{USER}/textbridge/.env" if way == "clone" else "etc/textbridge/env")
    with FAKES[carrier]() as fake:
        if carrier == "wavix":
            fake.own(NUMBER[1:])
        set_addresses(file, fake.env)
        start_caddy(root)
        if way == "package":
            start_unit(root, "textbridge")
            eventually(is_ready)
        setup, doctor = (typed(command, way) for command in told["5"])
        webhook = set_up(terminal, setup, carrier, fake.env)
        paste(carrier, fake, webhook)
        if way == "clone":
            server = Terminal(root)
            server.run(CLONE)
            server.start("make run", "devices add 201 --name server")
        eventually(is_in_production)
        shown = terminal.run(doctor, codes=(0, 1))
        assert "A delivery worker runs." in shown
        [pair] = told["6"]
        link = re.search(r"https://\S+/phone/#code=\S+", terminal.run(typed(pair, way)))
        assert link, "the command prints an address"
        talk(link[0], carrier, fake, webhook, root)
        listed, why, status = (typed(command, way) for command in told[WITHOUT_NUMBER])
        shown = terminal.run(listed)
        assert ASKED in shown
        assert ANSWERED in shown
        assert terminal.run(why).strip()
        assert "First text received." in terminal.run(status, codes=(0, 1))


def typed(command: str, way: str) -> str:
    """A command of the page as it is typed where Textbridge was installed in a way."""
    return command.replace("sudo textbridge ", ".venv/bin/flask ") if way == "clone" else command


def set_addresses(file: Path, env: dict[str, str]) -> None:
    """Let the variables of the carrier's addresses in ``.env`` name the fake."""
    text = file.read_text(encoding="utf-8")
    for name, address in env.items():
        if name.endswith("_URL"):
            text, count = re.subn(rf"^{name}=.*$", f"{name}={address}", text, flags=re.MULTILINE)
            assert count == 1, name
    file.write_text(text, encoding="utf-8")


def start_caddy(root: Path) -> None:
    """Start Caddy with the file that the page wrote, and a certificate of its own."""
    file = root / "etc/caddy/Caddyfile"
    written = file.read_text(encoding="utf-8")
    options = "{\n\tlocal_certs\n\tskip_install_trust\n"
    assert "\n{\n" in written
    file.write_text(written.replace("\n{\n", f"\n{options}", 1), encoding="utf-8")
    start_unit(root, "caddy")
    eventually((root / CADDY_ROOT).exists)


def set_up(terminal: Terminal, command: str, carrier: str, env: dict[str, str]) -> str:
    """Answer the five questions; returns the address to paste at the carrier."""
    shell = terminal.shell
    shell.sendline(command)
    shell.expect_exact("1. Public address")
    shell.sendline(HOST)
    shell.expect_exact("2. Your carrier")
    shell.sendline(carrier)
    for each in credentials(carrier):
        shell.expect_exact(f"{each.name}: ")
        shell.expect(r": \Z|\]: ")
        shell.sendline(env[each.name])
    shell.expect_exact("4. Your number")
    shell.sendline(NUMBER)
    shell.expect_exact("5. Extension")
    shell.sendline("201")
    shell.expect_exact("Write this?")
    shell.sendline("")
    shell.expect_exact("Paste this address at")
    shell.expect(r"https://\S+")
    address = str(shell.match[0])
    shell.expect(r"<exit 0> ")
    return address


def paste(carrier: str, fake: Any, webhook: str) -> None:
    """Paste the webhook's address at a carrier that tells it when it is asked."""
    if carrier == "twilio":
        fake.numbers[NUMBER]["sms_url"] = webhook
    elif carrier == "wavix":
        fake.numbers[0]["sms_relay_url"] = webhook
    elif carrier == "voipms":
        fake.dids[0].update(webhook=webhook, webhook_enabled="1")
    elif carrier == "telnyx":
        fake.profile["webhook_url"] = webhook


def credentials(carrier: str) -> list[variables.Variable]:
    """What ``flask setup`` asks for."""
    kind = kinds()[carrier]
    return [v for v in variables.variables(kind.Settings, kind.prefix()) if v.required]


def kinds() -> dict[str, type[Provider]]:
    """The carriers by name."""
    return {each.name: each for each in PROVIDERS}


def is_ready() -> bool:
    """Whether the server on this machine takes texts."""
    try:
        return requests.get(f"{LOCAL}/ready", timeout=10).ok
    except requests.RequestException:
        return False


def is_in_production() -> bool:
    """Whether the new settings are read: there is no sandbox then."""
    try:
        return requests.get(f"{LOCAL}/sandbox", timeout=10).status_code == 404
    except requests.RequestException:
        return False


def talk(link: str, carrier: str, fake: Any, webhook: str, root: Path) -> None:
    """A phone is paired; a text comes in and is answered."""
    with chromium() as open_page:
        page = open_page(link, **PHONE)
        page.get_by_role("button", name="Connect").click()
        page.get_by_role("heading", name="Messages", exact=True).wait_for()
        receive(carrier, fake.env, webhook, root)
        enter(page, "(303) 555-0188")
        said(page, ASKED).wait_for()
        write(page, ANSWERED)
        eventually(lambda: fake.accepted)
    assert [ANSWERED in map(str, values(one)) for one in fake.accepted] == [True], fake.accepted


def values(taken: dict[str, Any]) -> Iterator[Any]:
    """All values of a message that a carrier took."""
    for value in taken.values():
        yield from values(value) if isinstance(value, dict) else [value]


def receive(carrier: str, env: dict[str, str], webhook: str, root: Path) -> None:
    """The carrier posts a text to the address that was pasted there, through Caddy."""
    kind = kinds()[carrier]
    settings, problems = variables.load(kind.Settings, kind.prefix(), env)
    assert settings is not None, problems
    token = parse_qs(urlsplit(webhook).query).get("token", [""])[0]
    provider = kind(settings, ProviderContext(Http(), token, ADDRESS))
    assert provider.webhook_url == webhook
    message = Message(direction="in", number=NUMBER, peer=PEER, text=ASKED)
    call = provider.example(message, signing_key(carrier))
    answer = requests.request(
        call.method,
        f"{webhook.partition('?')[0]}?{call.query}".rstrip("?"),
        headers=call.headers,
        data=call.body,
        timeout=PATIENCE,
        verify=str(root / CADDY_ROOT),
    )
    assert answer.ok, answer.text


@contextmanager
def chromium() -> Iterator[Callable[..., Any]]:
    """Open addresses in Chromium, which takes the certificate of Caddy."""
    program = next(filter(None, map(shutil.which, PROGRAMS)))
    with sync_playwright() as playwright:
        options = [*OPTIONS, "--ignore-certificate-errors"]
        options.append(f"--host-resolver-rules=MAP {HOST} 127.0.0.1")
        browser = playwright.chromium.launch(executable_path=program, args=options)

        def open_page(address: str, **more: Any) -> Any:
            window = browser.new_context(locale="en-US", ignore_https_errors=True, **more)
            page = window.new_page()
            page.set_default_timeout(PATIENCE * 1000)
            page.goto(address)
            return page

        try:
            yield open_page
        except Exception:
            for page in (page for window in browser.contexts for page in window.pages):
                print(page.url, page.locator("body").inner_text(), sep="\n")
            raise
        browser.close()


def own_network(root: Path) -> None:
    """In a network namespace: loopback, ports below 1024 for everybody, and the server's name.

    A second interface leads nowhere: without one Chromium tells pages that they are offline.
    """
    Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").write_text("0")
    subprocess.run(["mount", "--bind", root / "etc/hosts", "/etc/hosts"], check=True)
    for command in (
        "link set lo up",
        "link add outside type veth peer name nowhere",
        "address add 198.51.100.7/24 dev outside",
        "link set outside up",
        "link set nowhere up",
    ):
        subprocess.run(["ip", *command.split()], check=True)


def main(stage: str, folder: str, *about: str) -> None:
    """Play a stage; it is an error if a step does not do what the page says."""
    root = Path(folder)
    mount_root(root)
    if stage == "try":
        try_it(root)
    elif stage == "install":
        install(root, *about)
    else:
        own_network(root)
        use(root, *about)
    print("\nAll steps are done.", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
