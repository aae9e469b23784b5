"""An image: a root folder, what its instructions declared, and how a command gets into it."""

import shlex
import signal
from dataclasses import dataclass, field
from pathlib import Path

from container.dockerfile import NotUnderstood

BASE_ENV = {
    "PATH": "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
}


@dataclass
class Image:
    """What a stage has made so far. ``user`` is ``uid:gid``."""

    root: Path
    env: dict[str, str] = field(default_factory=lambda: dict(BASE_ENV))
    workdir: str = "/"
    user: str = "0:0"
    volumes: list[str] = field(default_factory=list)
    health: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    stop_signal: signal.Signals = signal.SIGTERM

    def path(self, inside: str) -> Path:
        """A path inside, as this machine sees it."""
        return self.root / inside.lstrip("/")

    @property
    def home(self) -> str:
        """The home folder of its user."""
        entries = [line.split(":") for line in self.path("/etc/passwd").read_text().splitlines()]
        return {entry[2]: entry[5] for entry in entries}.get(self.user.partition(":")[0], "/")

    def as_user(self, command: list[str]) -> list[str]:
        """A command in its folder, as its user, without any privilege."""
        uid, _, gid = self.user.partition(":")
        if not (uid.isdigit() and gid.isdigit()):
            raise NotUnderstood(f"USER {self.user}: write it as uid:gid in digits.")
        drop = ["--clear-groups", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]
        return ["setpriv", f"--reuid={uid}", f"--regid={gid}", *drop, *self.in_workdir(command)]

    def in_workdir(self, command: list[str]) -> list[str]:
        """A command in its folder."""
        return ["env", f"--chdir={self.workdir}", *command]

    def contained(self, mounts: list[str], command: list[str], *namespaces: str) -> list[str]:
        """The command line that runs a command with this root, as process 1 of namespaces.

        ``mounts`` are lines of shell that run before it; what they mount ends with the command.
        """
        inside = shlex.join(["exec", "chroot", str(self.root), *command])
        own = ["--mount", "--pid", "--fork", "--kill-child", *namespaces]
        return ["unshare", *own, "sh", "-c", "\n".join(["set -e", *mounts, inside])]

    def system(self) -> list[str]:
        """The mounts that every process expects."""
        return [
            shlex.join(["mount", "-t", "proc", "proc", str(self.path("proc"))]),
            self.bound("/dev", "/dev"),
            self.in_memory("/dev/shm"),  # noqa: S108 - a mount point
        ]

    def bound(self, source: str | Path, inside: str) -> str:
        """The mount of a file or folder of this machine."""
        return shlex.join(["mount", "--bind", str(source), str(self.path(inside))])

    def in_memory(self, inside: str) -> str:
        """The mount of a folder that everybody may write to and nobody keeps."""
        options = ["-t", "tmpfs", "-o", "mode=1777,noexec,nosuid,nodev", "tmpfs"]
        return shlex.join(["mount", *options, str(self.path(inside))])

    def read_only(self) -> str:
        """The mount that closes the root itself; what is mounted on it stays as it is."""
        return shlex.join(["mount", "-o", "remount,bind,ro", str(self.root)])
