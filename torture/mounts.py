"""Mounted test disks: one that fills up, one that fails, one over a used folder; needs root.

The mounts are visible to this process and its children only (mount namespace).
"""

import ctypes
import subprocess
from contextlib import suppress
from pathlib import Path

from torture.environment import wait_until

CLONE_NEWNS = 0x0002_0000  # linux/sched.h
NORMAL_MB = 256
REPAIRED = (0, 1)  # exit codes of e2fsck: nothing to repair, and repaired


class SmallDisk:
    """A disk in memory (tmpfs) whose size can change."""

    def __init__(self, folder: Path) -> None:
        _enter_mount_namespace()
        folder.mkdir()
        self._folder = str(folder)
        _mount("-t", "tmpfs", "-o", f"size={NORMAL_MB}m", "tmpfs", self._folder)

    def resize(self, megabytes: int) -> None:
        """Set the size of the disk in MB."""
        _mount("-o", f"remount,size={megabytes}m", self._folder)


class DiskOver:
    """An empty disk in memory (tmpfs) that can be mounted over a folder that is in use."""

    def __init__(self) -> None:
        _enter_mount_namespace()

    def cover(self, folder: Path) -> None:
        """Mount the disk over a folder: what opens the folder anew finds it empty."""
        _mount("-t", "tmpfs", "-o", f"size={NORMAL_MB}m", "tmpfs", str(folder))

    def uncover(self, folder: Path) -> None:
        """Take the disk away, with what was written on it."""
        _run("umount", "--lazy", str(folder))


class FullSharedMemory:
    """A small ``/dev/shm`` of this process and its children, without free space."""

    def __init__(self) -> None:
        _enter_mount_namespace()
        _mount("-t", "tmpfs", "-o", "size=2m", "tmpfs", "/dev/shm")
        self._filler = Path("/dev/shm/filler")
        self.fill()

    def fill(self) -> None:
        """Take all the space that is free."""
        with self._filler.open("ab", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(4096))

    def free(self) -> None:
        """Give the space back, and more of it."""
        self._filler.unlink()
        _mount("-o", "remount,size=64m", "/dev/shm")


class FailingDisk:
    """An ext4 disk image that Linux makes read-only after an error (``errors=remount-ro``).

    It stays read-only until it is unmounted and repaired.
    """

    def __init__(self, folder: Path) -> None:
        _enter_mount_namespace()
        folder.mkdir()
        self._folder = str(folder)
        self._image = str(folder.with_name(f"{folder.name}.disk"))
        _run("truncate", f"--size={NORMAL_MB}M", self._image)
        _run("mkfs.ext4", "-q", self._image)
        self._attach()

    def fail(self) -> None:
        """Let the file system fail: from now on it is read-only."""
        _mount("-o", "remount,abort", self._folder)

    def repair(self) -> None:
        """Unmount the disk once no process uses it, repair it, and mount it again."""
        wait_until(lambda: _try("umount", self._folder) == 0, "unmounting the disk")
        if (code := _try("e2fsck", "-p", self._image)) not in REPAIRED:
            raise OSError(f"e2fsck ended with {code}")
        self._attach()

    def __enter__(self) -> "FailingDisk":
        return self

    def __exit__(self, *_: object) -> None:
        _run("umount", "--lazy", self._folder)  # a killed process may still use it

    def _attach(self) -> None:
        _mount("-o", "loop,errors=remount-ro", self._image, self._folder)


def _enter_mount_namespace() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS):
        raise OSError(ctypes.get_errno(), "unshare")
    _mount("--make-rprivate", "/")


def _mount(*arguments: str) -> None:
    _run("mount", *arguments)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def _try(*command: str) -> int:
    return subprocess.run(command, capture_output=True, check=False).returncode
