"""Simulates the disk after a power failure, from the log of operations of ``shims/disk.c``.

Data that was fsynced is kept; file names are kept once their folder was fsynced. Of everything else
a real disk may keep nothing, or any part in any order, down to single sectors of a write.
"""

import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path

RECORD_HEAD = struct.Struct("<QQqIIII")
SECTOR = 512


class Kind(IntEnum):
    """Kind of a disk operation; the numbers are those of ``shims/disk.c``."""

    CREATE = 1
    WRITE = 2
    TRUNCATE = 3
    SYNC = 4
    SYNC_FOLDER = 5
    RENAME = 6
    UNLINK = 7


@dataclass(frozen=True, slots=True)
class Operation:
    """One disk operation; ``at`` is in seconds of the monotonic clock."""

    at: float
    inode: int
    offset: int
    kind: Kind
    path: str
    data: bytes


def read_log(log: Path) -> list[Operation]:
    """All operations in the log of the shim, in order."""
    return list(_operations(log.read_bytes()))


def _operations(raw: bytes) -> Iterator[Operation]:
    at = 0
    while at < len(raw):
        nanoseconds, inode, offset, kind, path, data, _ = RECORD_HEAD.unpack_from(raw, at)
        at += RECORD_HEAD.size
        name, content = raw[at : at + path].decode(), raw[at + path : at + path + data]
        yield Operation(nanoseconds / 1e9, inode, offset, Kind(kind), name, content)
        at += path + data


@dataclass
class _File:
    durable: bytearray = field(default_factory=bytearray)
    pending: list[Operation] = field(default_factory=list)

    def content(self, chance: random.Random | None) -> bytes:
        """The content after a power failure; with ``chance`` also some unsynced writes."""
        found = bytearray(self.durable)
        for operation in self.pending if chance else ():
            assert chance is not None
            if chance.random() < 0.5:
                _apply(found, operation, chance.choice((None, SECTOR)))
        return bytes(found)

    def sync(self) -> None:
        for operation in self.pending:
            _apply(self.durable, operation)
        self.pending.clear()


def _apply(content: bytearray, operation: Operation, max_bytes: int | None = None) -> None:
    if operation.kind is Kind.TRUNCATE:
        del content[operation.offset :]
        content.extend(bytes(operation.offset - len(content)))
        return
    data = operation.data[:max_bytes]
    content.extend(bytes(max(0, operation.offset + len(data) - len(content))))
    content[operation.offset : operation.offset + len(data)] = data


class PowerCutDisk:
    """The files in a folder: ``apply`` operations, then write the state after a power failure."""

    def __init__(self) -> None:
        self._files: dict[int, _File] = {}
        self._names: dict[str, _File] = {}
        self._durable_names: dict[str, _File] = {}

    def add_durable(self, path: Path) -> None:
        """Add a file that was on the disk, durably, before the first operation."""
        file = _File(bytearray(path.read_bytes()))
        self._files[path.stat().st_ino] = file
        self._names[str(path)] = self._durable_names[str(path)] = file

    def apply(self, operation: Operation) -> None:
        """Apply the next operation."""
        if operation.kind is Kind.CREATE:
            if operation.path not in self._names or self._names[
                operation.path
            ] is not self._files.get(operation.inode):
                self._files[operation.inode] = self._names[operation.path] = _File()
        elif operation.kind in (Kind.WRITE, Kind.TRUNCATE):
            self._files.setdefault(operation.inode, _File()).pending.append(operation)
        elif operation.kind is Kind.SYNC:
            self._files.setdefault(operation.inode, _File()).sync()
        elif operation.kind is Kind.SYNC_FOLDER:
            self._sync_names(operation.path)
        elif operation.kind is Kind.RENAME:
            moved = self._names.pop(operation.path, None)
            if moved is not None:
                self._names[operation.data.decode()] = moved
        elif operation.kind is Kind.UNLINK:
            self._names.pop(operation.path, None)

    def _sync_names(self, folder: str) -> None:
        def in_folder(names: dict[str, _File]) -> dict[str, _File]:
            return {n: f for n, f in names.items() if n.rpartition("/")[0] == folder}

        for name in in_folder(self._durable_names):
            del self._durable_names[name]
        self._durable_names |= in_folder(self._names)

    def write_after_cut(self, target: Path, chance: random.Random | None) -> None:
        """Write the files that a power failure leaves; with ``chance`` also some unsynced data."""
        target.mkdir(parents=True)
        for name, file in self._durable_names.items():
            (target / Path(name).name).write_bytes(file.content(chance))
