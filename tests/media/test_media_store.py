"""The media store, on a disk and in a bucket: whole files under ids, size limits, full disks."""

import itertools
import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.core.errors import Kind, MediaError, StorageUnwell
from services.media.media_store import MediaStore, StoredFile
from tests.media.conftest import FILE_ID, PNG, files


def save(
    store: MediaStore, *chunks: bytes, max_bytes: int = 1_000_000, name: str = ""
) -> StoredFile:
    return store.save(chunks, file_id=FILE_ID, declared="", name=name, max_bytes=max_bytes)


def test_a_file_is_kept_whole_under_its_id(store: MediaStore, folder: Path) -> None:
    kept = save(store, PNG[:5], b"", PNG[5:], name="beach")
    assert kept == StoredFile(folder / "ab" / FILE_ID, "image/png", len(PNG), "beach.png")
    assert kept.path.read_bytes() == PNG
    assert store.open(FILE_ID) == kept.path
    assert files(folder) == [f"ab/{FILE_ID}"]
    assert kept.path.stat().st_mode & 0o077 == 0


def test_the_same_id_again_replaces_the_file(store: MediaStore, folder: Path) -> None:
    save(store, b"first")
    assert save(store, b"second").path.read_bytes() == b"second"
    assert files(folder) == [f"ab/{FILE_ID}"]


@pytest.mark.parametrize("chunks", [(b"x" * 1000,), (b"x" * 999, b"x"), (b"x",) * 1000])
def test_a_file_of_just_the_size_allowed_is_kept(
    store: MediaStore, chunks: tuple[bytes, ...]
) -> None:
    assert save(store, *chunks, max_bytes=1000).size == 1000


def test_a_file_that_is_too_large_leaves_nothing_behind(store: MediaStore, folder: Path) -> None:
    with pytest.raises(MediaError) as caught:
        save(store, b"x" * 1000, b"x", max_bytes=1000)
    assert caught.value.kind is Kind.REFUSED
    assert caught.value.reason == "The file is larger than 0.001 MB."
    assert files(folder) == []


def test_an_endless_file_is_read_no_further_than_the_size_allowed(store: MediaStore) -> None:
    read = itertools.count()
    with pytest.raises(MediaError):
        store.save(
            (b"x" * 100 for _ in read), file_id=FILE_ID, declared="", name="", max_bytes=1000
        )
    assert next(read) == 11


def test_an_upload_that_breaks_off_leaves_nothing_behind(store: MediaStore, folder: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield PNG
        raise RuntimeError("the caller hung up")

    with pytest.raises(RuntimeError):
        store.save(broken(), file_id=FILE_ID, declared="", name="", max_bytes=1_000_000)
    assert files(folder) == []


def test_a_full_disk_leaves_nothing_behind_and_is_said(store: MediaStore, folder: Path) -> None:
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, usual[1]))
    try:
        with pytest.raises(StorageUnwell) as caught:
            save(store, b"x" * 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    assert str(caught.value) == "An attachment cannot be kept: File too large."
    assert files(folder) == []
    with pytest.raises(MediaError):
        store.open(FILE_ID)


def test_a_disk_that_takes_no_folder_is_said(store: MediaStore, folder: Path) -> None:
    folder.parent.mkdir()
    folder.write_text("in the way")
    with pytest.raises(StorageUnwell):
        save(store, PNG)
    with pytest.raises(StorageUnwell):
        store.remove(FILE_ID)


def test_the_bytes_are_on_the_disk_before_the_name_is(
    store: MediaStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, bool]] = []
    flush = os.fsync

    def watched(handle: int) -> None:
        at = Path(f"/proc/self/fd/{handle}").readlink()
        seen.append((at.suffix or at.name, (folder / "ab" / FILE_ID).exists()))
        flush(handle)

    if not Path("/proc/self/fd").is_dir():
        pytest.skip("this system has no /proc")
    monkeypatch.setattr("services.media.folder.os.fsync", watched)
    save(store, PNG)
    assert seen == [(".part", False), ("ab", True), ("media", True)]


TRAVERSAL = [
    "",
    ".",
    "..",
    "../../../../etc/passwd",
    "/etc/passwd",
    f"../{FILE_ID}",
    f"{FILE_ID}/..",
    f"{FILE_ID}\0",
    f"{FILE_ID}\n",
    FILE_ID.upper(),
    FILE_ID.replace("-", ""),
    f"{{{FILE_ID}}}",
    f"urn:uuid:{FILE_ID}",
    FILE_ID[:-1] + "／",
    FILE_ID[:-1] + "١",
    "\ud83d",
    "%2e%2e%2f" + FILE_ID,
    "a" * 10_000,
]


@pytest.mark.parametrize("file_id", TRAVERSAL)
def test_what_is_no_id_touches_nothing(store: MediaStore, folder: Path, file_id: str) -> None:
    save(store, PNG)
    for use in (
        lambda: store.save([b"x"], file_id=file_id, declared="", name="", max_bytes=10),
        lambda: store.open(file_id),
        lambda: store.remove(file_id),
    ):
        with pytest.raises(MediaError) as caught:
            use()
        assert caught.value.kind is Kind.REFUSED
    assert files(folder) == [f"ab/{FILE_ID}"]
    assert files(folder.parents[1]) == [f"storage/media/ab/{FILE_ID}"]


def test_a_removed_file_is_gone_and_may_be_removed_again(store: MediaStore) -> None:
    save(store, PNG)
    store.remove(FILE_ID)
    store.remove(FILE_ID)
    with pytest.raises(MediaError):
        store.open(FILE_ID)


def test_what_a_crash_left_is_swept_once_it_is_old(store: MediaStore, folder: Path) -> None:
    assert store.sweep(0) == 0
    kept = save(store, PNG).path
    old, new = kept.parent / "tmpold.part", kept.parent / "tmpnew.part"
    for path in (old, new):
        path.write_bytes(b"half")
    for path in (old, kept):
        os.utime(path, (time.time() - 7200,) * 2)
    assert store.sweep(3600) == 1
    assert files(folder) == [f"ab/{FILE_ID}", "ab/tmpnew.part"]
