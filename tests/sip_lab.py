"""A PBX and phones of other people: kamailio, linphonec and baresip, where they are installed.

They listen on free ports of this machine, keep their files in a temporary folder and end together
with the test process. An account's password is ``secret-`` and its name. A text to a telephone
number goes to the account ``textbridge``, with the number in ``X-SMS-To`` and the extension in
``X-SMS-From``; only ``textbridge`` may write in the name of others.
"""

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.certificates import own_certificate
from tests.postgres import free_port
from tests.processes import start
from tests.waiting import eventually

DOMAIN = "pbx.test"
GATEWAY = "textbridge"
MODULES = [Path(f"/usr/lib/{kind}") for kind in ("x86_64-linux-gnu", "aarch64-linux-gnu", "")]
TABLES = Path("/usr/share/kamailio/dbtext/kamailio")  # empty ones, of the package
FILES = Path(__file__).parent / "data" / "sip"


def needs(*programs: str) -> pytest.MarkDecorator:
    """Skip a test, by name, where one of these programs is not installed."""
    missing = [name for name in programs if not shutil.which(name)]
    reason = f"not installed: {', '.join(missing)} (make test-tools)"
    return pytest.mark.skipif(bool(missing), reason=reason)


def needs_reg_event() -> pytest.MarkDecorator:
    """Skip a test, by name, where kamailio cannot report registrations."""
    found = any((folder / "kamailio/modules/pua_reginfo.so").exists() for folder in MODULES)
    reason = "not installed: kamailio-presence-modules (make test-tools)"
    return pytest.mark.skipif(not found, reason=reason)


def password(user: str) -> str:
    """The password of an account."""
    return f"secret-{user}"


def free_sip_port() -> int:
    """A port that is free for UDP and for TCP."""
    while True:
        port = free_port()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def modules(program: str) -> Path:
    """The folder of a program's modules."""
    part = {"kamailio": "kamailio/modules", "baresip": "baresip/modules"}[program]
    return next(folder / part for folder in MODULES if (folder / part).exists())


def fill(name: str, path: Path, **values: object) -> Path:
    """Write a configuration of ``tests/data/sip`` to ``path``, with its ``@NAMES@`` replaced."""
    text = (FILES / name).read_text(encoding="utf-8")
    for key, value in values.items():
        text = text.replace(f"@{key.upper()}@", str(value))
    path.write_text(text, encoding="utf-8")
    return path


@dataclass
class Pbx:
    """A running kamailio. ``port`` is for UDP and TCP, ``tls_port`` for TLS to ``localhost``.

    ``certificate`` is the file that a client must trust.
    """

    folder: Path
    port: int = field(default_factory=free_sip_port)
    tls_port: int = field(default_factory=free_sip_port)
    reg_event: bool = False  # whether it tells subscribers of registrations
    _process: "subprocess.Popen[Any] | None" = None

    @property
    def certificate(self) -> Path:
        """The certificate for ``localhost``, with its key."""
        return self.folder / "own.pem"

    @property
    def log(self) -> str:
        """What kamailio has logged; every request is a line with ``REQ``."""
        return (self.folder / "kamailio.log").read_text(encoding="utf-8", errors="replace")

    def start(self) -> None:
        """Start it, with no registrations."""
        if not self.certificate.exists():
            own_certificate(self.folder, "localhost")
        places = {"port": self.port, "tls": self.tls_port, "certificate": self.certificate}
        if self.reg_event:
            shutil.copytree(TABLES, self.folder / "tables", dirs_exist_ok=True)
        places["database"] = self.folder / "tables"
        config = fill(
            "kamailio.cfg", self.folder / "kamailio.cfg", modules=modules("kamailio"), **places
        )
        run = self.folder / "run"
        run.mkdir(exist_ok=True)
        # Its main process ends the others at a SIGTERM, but not if it is killed.
        tied = ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []
        tied += ["kamailio", *(["-A", "REGINFO"] if self.reg_event else [])]
        command = [*tied, "-DD", "-f", config, "-w", run, "-Y", run, "-P", run / "pid"]
        with (self.folder / "kamailio.log").open("ab") as log:
            self._process = start(*map(str, command), "-m", "64", "-M", "8", stdout=log, stderr=log)
        eventually(self._is_up)

    def _is_up(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.tls_port), 1):
            return True
        return False

    def stop(self, signal_number: int = signal.SIGTERM) -> None:
        """Stop it; its registrations are lost."""
        if self._process is not None:
            self._process.send_signal(signal_number)
            self._process.wait(30)
            self._process = None

    def registrations(self, user: str) -> int:
        """How many REGISTER requests of an account it has accepted, the last of them included."""
        return self.log.count(f"SAVED {user}\n")

    def wait_registered(self, user: str, times: int = 1) -> None:
        """Wait until it has accepted so many REGISTER requests of an account."""
        eventually(lambda: self.registrations(user) >= times)

    def restart(self) -> None:
        """Stop and start it: registrations and connections are lost."""
        self.stop()
        self.start()


@contextmanager
def running_pbx(folder: Path, *, reg_event: bool = False) -> Iterator[Pbx]:
    """A kamailio that is stopped at the end; ``folder`` gets its files."""
    folder.mkdir(parents=True, exist_ok=True)
    pbx = Pbx(folder, reg_event=reg_event)
    pbx.start()
    try:
        yield pbx
    finally:
        pbx.stop()


class Linphone:
    """linphonec as an extension over UDP: it shows texts, and can send some."""

    def __init__(self, folder: Path, pbx: Pbx, extension: str = "201") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._log = folder / "linphonec.log"
        self._pbx, self._extension = pbx, extension
        home = folder / "home"
        (home / ".local/share/linphone").mkdir(parents=True, exist_ok=True)
        places = {"pbx": pbx.port, "port": free_sip_port(), "tcp": free_sip_port()}
        config = fill("linphonerc", folder / "linphonerc", extension=extension, **places)
        with self._log.open("ab") as log:
            self._process = start(
                *("stdbuf", "-o0", "linphonec", "-c", str(config)),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env={**os.environ, "HOME": str(home)},
                cwd=folder,
            )

    @property
    def output(self) -> str:
        """What linphonec has printed: ``Message received from …: text`` for every text."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def wait_registered(self) -> None:
        """Wait until the PBX has accepted the registration."""
        self._pbx.wait_registered(self._extension)

    def send(self, number: str, text: str) -> None:
        """Send a text of one line to a number."""
        self._type(f"chat sip:{number}@{DOMAIN} {text}")

    def _type(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())
        self._process.stdin.flush()

    def stop(self) -> None:
        """End it as a user does: its registration ends as well."""
        with suppress(OSError):
            self._type("quit")
        _end(self._process)


class Baresip:
    """baresip as an extension over TCP: it shows texts of up to 500 bytes.

    Version 1.0.0 accepts longer ones without showing them, and cannot send any.
    """

    def __init__(self, folder: Path, pbx: Pbx, extension: str = "202") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._log = folder / "baresip.log"
        self._pbx, self._extension = pbx, extension
        fill("baresip_accounts", folder / "accounts", extension=extension, pbx=pbx.port)
        places = {"port": free_sip_port(), "modules": modules("baresip")}
        fill("baresip_config", folder / "config", **places)
        with self._log.open("ab") as log:
            self._process = start(
                *("stdbuf", "-o0", "baresip", "-f", str(folder)),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
            )

    @property
    def output(self) -> str:
        """What baresip has printed, texts included."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def wait_registered(self) -> None:
        """Wait until the PBX has accepted the registration."""
        self._pbx.wait_registered(self._extension)

    def stop(self) -> None:
        """End it as a user does: its registration ends as well."""
        self._process.terminate()
        _end(self._process)


def _end(process: "subprocess.Popen[Any]") -> None:
    """Close the input of a process that has been told to end, and wait for that."""
    with suppress(OSError):
        process.stdin.close()  # type: ignore[union-attr]
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(20)
