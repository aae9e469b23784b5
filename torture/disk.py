"""A disk as a power cut leaves it, rebuilt from the log that ``shims/disk.c`` writes.

What was fsynced is there, names too once their folder was fsynced. Of the rest a real disk keeps
what it likes: nothing, or any part of it in any order, down to halves of a write.
"""

import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path

HEAD = struct.Struct("<QQqIIII")
SECTOR = 512


class Kind(IntEnum):
    """What was done; the numbers are those of the shim."""

    CREATE = 1
    WRITE = 2
    TRUNCATE = 3
    SYNC = 4
    SYNC_FOLDER = 5
    RENAME = 6
    UNLINK = 7


@dataclass(frozen=True, slots=True)
class Deed:
    """One thing done to the disk, ``at`` a moment of the monotonic clock."""

    at: float
    inode: int
    offset: int
    kind: Kind
    path: str
    data: bytes


def read(log: Path) -> list[Deed]:
    """Everything that was done, in its order."""
    return list(_deeds(log.read_bytes()))


def _deeds(raw: bytes) -> Iterator[Deed]:
    at = 0
    while at < len(raw):
        nanoseconds, inode, offset, kind, path, data, _ = HEAD.unpack_from(raw, at)
        at += HEAD.size
        name, content = raw[at : at + path].decode(), raw[at + path : at + path + data]
        yield Deed(nanoseconds / 1e9, inode, offset, Kind(kind), name, content)
        at += path + data


@dataclass
class _File:
    safe: bytearray = field(default_factory=bytearray)
    pending: list[Deed] = field(default_factory=list)

    def content(self, chance: random.Random | None) -> bytes:
        """After a cut: what is safe, and with ``chance`` some of what is not."""
        found = bytearray(self.safe)
        for deed in self.pending if chance else ():
            assert chance is not None
            if chance.random() < 0.5:
                _apply(found, deed, chance.choice((None, SECTOR)))
        return bytes(found)

    def sync(self) -> None:
        for deed in self.pending:
            _apply(self.safe, deed)
        self.pending.clear()


def _apply(content: bytearray, deed: Deed, most: int | None = None) -> None:
    if deed.kind is Kind.TRUNCATE:
        del content[deed.offset :]
        content.extend(bytes(deed.offset - len(content)))
        return
    data = deed.data[:most]
    content.extend(bytes(max(0, deed.offset + len(data) - len(content))))
    content[deed.offset : deed.offset + len(data)] = data


class Disk:
    """The files below a folder; ``do`` what was done, then ask what a cut would leave."""

    def __init__(self) -> None:
        self._files: dict[int, _File] = {}
        self._names: dict[str, _File] = {}
        self._safe_names: dict[str, _File] = {}

    def put(self, path: Path) -> None:
        """A file that was there, safely, before anything was done."""
        kept = _File(bytearray(path.read_bytes()))
        self._files[path.stat().st_ino] = kept
        self._names[str(path)] = self._safe_names[str(path)] = kept

    def do(self, deed: Deed) -> None:
        """One thing more."""
        if deed.kind is Kind.CREATE:
            if deed.path not in self._names or self._names[deed.path] is not self._files.get(
                deed.inode
            ):
                self._files[deed.inode] = self._names[deed.path] = _File()
        elif deed.kind in (Kind.WRITE, Kind.TRUNCATE):
            self._files.setdefault(deed.inode, _File()).pending.append(deed)
        elif deed.kind is Kind.SYNC:
            self._files.setdefault(deed.inode, _File()).sync()
        elif deed.kind is Kind.SYNC_FOLDER:
            self._sync_names(deed.path)
        elif deed.kind is Kind.RENAME:
            moved = self._names.pop(deed.path, None)
            if moved is not None:
                self._names[deed.data.decode()] = moved
        elif deed.kind is Kind.UNLINK:
            self._names.pop(deed.path, None)

    def _sync_names(self, folder: str) -> None:
        def within(names: dict[str, _File]) -> dict[str, _File]:
            return {n: f for n, f in names.items() if n.rpartition("/")[0] == folder}

        for name in within(self._safe_names):
            del self._safe_names[name]
        self._safe_names |= within(self._names)

    def cut(self, target: Path, chance: random.Random | None) -> None:
        """Lay out what a power cut leaves now: with ``chance`` also some of what is not safe."""
        target.mkdir(parents=True)
        for name, kept in self._safe_names.items():
            (target / Path(name).name).write_bytes(kept.content(chance))
