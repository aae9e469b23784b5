"""Fresh Debian systems in folders, for tests that install something: made, copied, entered.

A root is made by debootstrap with what a small Debian server has: the minimal system, ``sudo`` and
the certificates. Its user ``admin`` may use ``sudo``. Its package lists are empty, as in images of
Debian. Programs run in it by ``chroot``; the caller has mount and process namespaces of its own
(``unshare --mount --pid --fork --kill-child``), with which mounts and programs end.
"""

import os
import shlex
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

import pexpect

from tests.server import ROOT
from tests.waiting import PATIENCE

SUITE, MIRROR = "bookworm", "http://deb.debian.org/debian"
HOST = "sms.example.com"  # the name of the server on all pages of the documentation
USER = "admin"
INSTALLING = 1800.0  # seconds for a command that fetches packages
# How the calling machine reaches Debian's mirror and PyPI is its own matter.
PASSED_IN = ("PIP_CERT", "PIP_INDEX_URL", "http_proxy", "https_proxy", "no_proxy")
PROMPT = r"<exit ([0-9]+)> "


def make_root(root: Path) -> None:
    """Make a root; it is there under its name when it is complete."""
    complete, root = root, root.with_name(f"{root.name}.new")
    packages = "--include=ca-certificates,sudo"
    made = ["debootstrap", "--variant=minbase", packages, SUITE, str(root), MIRROR]
    subprocess.run(made, check=True)
    for lists in (root / "var/lib/apt/lists").glob("*_*"):
        lists.unlink()
    (root / "etc/hosts").write_text(f"127.0.0.1 localhost {socket.gethostname()} {HOST}\n")
    subprocess.run(["chroot", root, "useradd", "-m", "-s", "/bin/bash", USER], check=True)
    (root / "etc/sudoers.d" / USER).write_text(f"{USER} ALL=(ALL) NOPASSWD: ALL\n")
    if certificates := os.environ.get("PIP_CERT"):
        copy = root / certificates.lstrip("/")
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(certificates, copy)
    root.rename(complete)


def add_repository(root: Path) -> None:
    """Add the repository of this program, as last committed: ``/srv/textbridge.git``, to clone."""
    repository = root / "srv" / "textbridge.git"
    subprocess.run(
        ["git", "clone", "--quiet", "--bare", "--no-local", ROOT, repository], check=True
    )
    subprocess.run(["chroot", root, "chown", "-R", USER, "/srv/textbridge.git"], check=True)


def copy_root(source: Path, target: Path) -> Path:
    """Copy a root in which nothing runs and nothing is mounted."""
    subprocess.run(["cp", "-a", "--reflink=auto", source, target], check=True)
    return target


def mount_root(root: Path) -> None:
    """Mount what programs in a root need; in a mount namespace of the caller's own."""
    subprocess.run(["mount", "-t", "proc", "proc", root / "proc"], check=True)
    subprocess.run(["mount", "--rbind", "/dev", root / "dev"], check=True)


class Terminal:
    """A terminal of ``admin`` in a root: commands are typed into its shell."""

    def __init__(self, root: Path) -> None:
        passed = {name: os.environ[name] for name in PASSED_IN if name in os.environ}
        env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TERM": "xterm", "LANG": "C.UTF-8"}
        kept = ",".join(["LANG", *passed])
        self.seen = Transcript()
        self.shell: Any = pexpect.spawn(
            "chroot",
            [str(root), "su", "-w", kept, "-", USER],
            env=env | passed,
            encoding="utf-8",
            timeout=PATIENCE,
            dimensions=(60, 250),
        )
        self.shell.logfile_read = self.seen
        self.shell.sendline("bind 'set enable-bracketed-paste off'; PS1='<exit $?> '")
        self.shell.expect(PROMPT)

    def run(self, command: str, *, codes: tuple[int, ...] = (0,)) -> str:
        """Type a command, agree where apt-get asks, and return what it said.

        Raises ``AssertionError`` unless it ends with one of ``codes``.
        """
        self.shell.sendline(command)
        said = ""
        while self.shell.expect([PROMPT, r"Do you want to continue\? \[Y/n\] "], INSTALLING):
            said += self.shell.before
            self.shell.sendline("y")
        said += self.shell.before
        assert int(self.shell.match[1]) in codes, f"{command} ended with {self.shell.match[1]}"
        return str(said).partition("\n")[2].replace("\r", "")

    def start(self, command: str, words: str) -> str:
        """Type a command that goes on, and wait until it says ``words``; returns all it said."""
        self.shell.sendline(command)
        self.shell.expect_exact(words, INSTALLING)
        return str(self.shell.before + self.shell.after).replace("\r", "")

    def interrupt(self) -> None:
        """Press Ctrl-C and wait until the command has ended."""
        self.shell.sendintr()
        self.shell.expect(PROMPT)


class Transcript:
    """Prints what a terminal shows, so that a failure can be read."""

    def write(self, text: str) -> None:
        """Print a part."""
        print(text, end="")

    def flush(self) -> None:
        """Nothing is held back."""


def start_unit(root: Path, name: str) -> "subprocess.Popen[bytes]":
    """Start the program of a systemd unit as its user: nothing in a root is booted."""
    file = root / "usr/lib/systemd/system" / f"{name}.service"
    unit: dict[str, str] = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        key, separator, value = line.partition("=")
        if separator:
            unit[key] = value
    home = subprocess.run(
        ["chroot", root, "getent", "passwd", unit["User"]],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split(":")[5]
    folder = unit.get("WorkingDirectory", "/")
    variables = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", f"HOME={home}"]
    variables += shlex.split(unit.get("Environment", ""))
    user = ["setpriv", "--reuid", unit["User"], "--regid", unit["User"], "--init-groups"]
    run = ["env", "-i", f"--chdir={folder}", *variables, *shlex.split(unit["ExecStart"])]
    return subprocess.Popen(["chroot", root, *user, *run], stdin=subprocess.DEVNULL)
