"""The lock of a storage folder against a running server or delivery worker."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from filelock import FileLock, Timeout


@contextmanager
def storage_lock(storage: Path) -> Iterator[None]:
    """Hold the lock of a storage folder that no server and no delivery worker uses.

    Raises ``click.ClickException`` while one runs; no server can start meanwhile.
    """
    with _held(storage / "server.lock", f"A server runs on {storage}. Stop it first."):
        for path in (storage / "run").glob("*.worker"):
            with _held(path, f"A delivery worker runs on {storage}. Stop it first."):
                pass
        yield


@contextmanager
def _held(path: Path, refusal: str) -> Iterator[None]:
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise click.ClickException(refusal) from None
    try:
        yield
    finally:
        lock.release()
