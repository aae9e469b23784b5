"""Disks of a check alone, which only this process and what it starts can see; as root."""

import ctypes
import subprocess
from pathlib import Path

from torture.ground import wait_until

CLONE_NEWNS = 0x0002_0000  # linux/sched.h
ROOMY_MB = 256
MENDED = (0, 1)  # exit codes of e2fsck: nothing to do, and done


class SmallDisk:
    """A small disk in memory."""

    def __init__(self, folder: Path) -> None:
        _mount_for_us_alone()
        folder.mkdir()
        self._folder = str(folder)
        _mount("-t", "tmpfs", "-o", f"size={ROOMY_MB}m", "tmpfs", self._folder)

    def resize(self, megabytes: int) -> None:
        """Make it larger or smaller."""
        _mount("-o", f"remount,size={megabytes}m", self._folder)


class FailingDisk:
    """A disk in a file, which Linux makes read-only once it fails, as most disks are mounted.

    It stays so for whoever has files open there, until it is unmounted and mended.
    """

    def __init__(self, folder: Path) -> None:
        _mount_for_us_alone()
        folder.mkdir()
        self._folder = str(folder)
        self._image = str(folder.with_name(f"{folder.name}.disk"))
        _run("truncate", f"--size={ROOMY_MB}M", self._image)
        _run("mkfs.ext4", "-q", self._image)
        self._attach()

    def fail(self) -> None:
        """From now on it can be read only."""
        _mount("-o", "remount,abort", self._folder)

    def mend(self) -> None:
        """Make it whole again, as soon as nobody has a file open there any more."""
        wait_until(lambda: _try("umount", self._folder) == 0, "the end of who uses the disk")
        if (code := _try("e2fsck", "-p", self._image)) not in MENDED:
            raise OSError(f"e2fsck ended with {code}")
        self._attach()

    def __enter__(self) -> "FailingDisk":
        return self

    def __exit__(self, *_: object) -> None:
        _run("umount", "--lazy", self._folder)  # whoever was killed may still be there

    def _attach(self) -> None:
        _mount("-o", "loop,errors=remount-ro", self._image, self._folder)


def _mount_for_us_alone() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS):
        raise OSError(ctypes.get_errno(), "unshare")
    _mount("--make-rprivate", "/")


def _mount(*arguments: str) -> None:
    _run("mount", *arguments)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def _try(*command: str) -> int:
    return subprocess.run(command, capture_output=True).returncode
