"""Running an image, as an engine with the strictest of the usual options does."""

# ruff: noqa: S603 - it runs what the Dockerfile says, with the system's own tools

import os
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from container.build import copy_tree
from container.image import Image


class Failed(Exception):
    """The proof failed; the text says at what."""


@dataclass(frozen=True)
class Container:
    """A running image: the tool that contains it, its first process, its environment, its log."""

    image: Image
    tool: subprocess.Popen[bytes]
    pid: int
    env: Mapping[str, str]
    log: Path

    def execute(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        """Run one more command inside, as ``docker exec`` and health checks do."""
        enter = ["nsenter", f"--target={self.pid}", "--mount", "--net", "--pid", "--root"]
        command = [*enter, *self.image.as_user(command)]
        return subprocess.run(command, env=self.env, capture_output=True, text=True)

    def processes(self) -> list[int]:
        """Every process inside, by the number that this machine gave it."""
        found = [self.pid]
        for pid in found:
            found += map(int, _children(pid))
        return found

    def alive(self) -> bool:
        """Whether its command still runs."""
        return self.tool.poll() is None

    def failed(self, what: str) -> Failed:
        """The exception that says what went wrong, and how the log ended."""
        return Failed(f"{what}\n{tail(self.log)}")


def volumes(image: Image, folder: Path) -> dict[str, Path]:
    """A new volume for each VOLUME; an engine fills it with what the image has there."""
    made = {inside: folder / f"volume-{number}" for number, inside in enumerate(image.volumes)}
    for inside, volume in made.items():
        copy_tree(image.path(inside), volume)
    return made


@contextmanager
def running(
    image: Image, kept: Mapping[str, Path], log: Path, given: Mapping[str, str]
) -> Iterator[Container]:
    """Start the command; at the end of the block everything that is left of it is killed.

    Like ``docker run --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges``
    with the volumes ``kept`` and the environment ``given``, and with a network of its own.
    """
    env = {**image.env, **given, "HOME": image.home}
    mounts = [
        image.bound(image.root, "/"),
        *image.system(),
        image.in_memory("/tmp"),  # noqa: S108 - a mount point
        *(image.bound(volume, inside) for inside, volume in kept.items()),
        image.read_only(),
        "ip link set lo up",
    ]
    command = image.contained(mounts, image.as_user(image.command), "--net", "--ipc", "--uts")
    with log.open("wb") as output:
        tool = subprocess.Popen(command, env=env, stdout=output, stderr=output)
    try:
        yield Container(image, tool, _first_process(tool, log), env, log)
    finally:
        _kill(tool)


def own_secrets() -> dict[str, str]:
    """What an operator gives to every installation."""
    return {"APP_KEY": secrets.token_hex(32), "ADMIN_PASSWORD": secrets.token_hex(8)}


def tail(log: Path) -> str:
    """The end of a log."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-30:])


def _first_process(tool: subprocess.Popen[bytes], log: Path) -> int:
    for _ in range(100):
        if tool.poll() is not None:
            break
        if found := _children(tool.pid):
            return int(found[0])
        time.sleep(0.05)
    raise Failed(f"CMD did not start:\n{tail(log)}")


def _children(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        return []


def _kill(tool: subprocess.Popen[bytes]) -> None:
    """Kill the first process: the others go with it, and its tool when all of them are gone."""
    for pid in _children(tool.pid):
        with suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
    try:
        tool.wait(timeout=10)
    except subprocess.TimeoutExpired:
        tool.kill()
        tool.wait()
