"""A real IMAP server (dovecot) of the tests' own, on a free port of this machine."""

import getpass
import grp
import os
import pwd
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from imaplib import IMAP4
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.processes import start
from tests.waiting import PATIENCE

USER, PASSWORD = "texts", "correct horse"
CONFIG = """\
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
protocols = imap
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
first_valid_uid = 0
first_valid_gid = 0
mail_location = maildir:{folder}/mail
default_internal_user = {internal}
default_internal_group = {group}
default_login_user = {login}
passdb {{
  driver = passwd-file
  args = scheme=PLAIN {folder}/users
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}/home
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
{more}
"""


def program() -> str | None:
    """The path of dovecot, if it is installed."""
    return shutil.which("dovecot", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


@dataclass
class Dovecot:
    """A running server with one mailbox."""

    port: int
    folder: Path

    @property
    def env(self) -> dict[str, str]:
        """The variables with which Textbridge looks into it."""
        return {
            "IMAP_HOST": "127.0.0.1",
            "IMAP_PORT": str(self.port),
            "IMAP_USERNAME": USER,
            "IMAP_PASSWORD": PASSWORD,
            "IMAP_ENCRYPTION": "none",
            "MAIL_ANSWERS_ADDRESS": "texts@example.com",
        }

    @contextmanager
    def opened(self) -> Iterator[IMAP4]:
        """A session of somebody who uses the mailbox as well."""
        client = IMAP4("127.0.0.1", self.port, timeout=PATIENCE)
        client.login(USER, PASSWORD)
        client.select("INBOX")
        try:
            yield client
        finally:
            client.logout()

    def deliver(self, mail: bytes) -> None:
        """Put a mail into the mailbox."""
        with self.opened() as client:
            assert client.append("INBOX", "", "", mail)[0] == "OK"

    def flags(self) -> list[set[str]]:
        """The flags of all mails, in order."""
        with self.opened() as client:
            found = client.fetch("1:*", "(FLAGS)")[1]
        lines = [line.decode() if isinstance(line, bytes) else "" for line in found if line]
        return [
            set(line.partition("FLAGS (")[2].rstrip(")").split()) - {"\\Recent"} for line in lines
        ]


@contextmanager
def running_dovecot(more: str = "") -> Iterator[Dovecot]:
    """A server with an empty mailbox; ``more`` is added to its configuration."""
    path = program()
    if path is None:
        pytest.skip("The IMAP server of the tests is not installed (package dovecot-imapd).")
    with TemporaryDirectory() as folder:
        yield from _serve(path, Path(folder), more)


def _serve(path: str, folder: Path, more: str) -> Iterator[Dovecot]:
    is_root = os.getuid() == 0
    user = getpass.getuser()
    owner = pwd.getpwnam("nobody" if is_root else user)  # mails must not belong to root
    folder.chmod(0o711)
    for name in ("run", "state", "mail", "home"):
        (folder / name).mkdir()
        os.chown(folder / name, owner.pw_uid, owner.pw_gid)
    (folder / "users").write_text(f"{USER}:{PASSWORD}\n")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = folder / "dovecot.conf"
    config.write_text(
        CONFIG.format(
            folder=folder,
            port=port,
            uid=owner.pw_uid,
            gid=owner.pw_gid,
            internal="dovecot" if is_root else user,
            group="dovecot" if is_root else grp.getgrgid(os.getgid()).gr_name,
            login="dovenull" if is_root else user,
            more=more,
        )
    )
    process = start(path, "-F", "-c", str(config))
    try:
        _wait_for(port, folder)
        yield Dovecot(port, folder)
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _wait_for(port: int, folder: Path) -> None:
    end = time.monotonic() + PATIENCE
    while True:
        try:
            IMAP4("127.0.0.1", port, timeout=5).logout()
        except OSError:
            log = folder / "log"
            assert time.monotonic() < end, log.read_text() if log.exists() else "it did not start"
            time.sleep(0.05)
        else:
            return
