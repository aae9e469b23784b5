"""A media store on a disk or in a bucket."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.http.client import Http
from services.media.backend import MediaBackend
from services.media.bucket import Bucket
from services.media.folder import Folder
from services.media.links import Links
from services.media.media_store import MediaStore
from tests.fakes.s3 import S3Server

FILE_ID = "0190f3a2-7c1e-7abc-8def-0123456789ab"
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(256)) * 40


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "storage" / "media"


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with S3Server() as running:
        yield running


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, folder: Path, server: S3Server) -> Iterator[MediaStore]:
    """Attachments in a folder, and then in a bucket with its copies in that folder.

    Whatever a test does: what has a copy here is in the bucket, and nothing else.
    """
    if request.param == "folder":
        yield media_store(Folder(folder))
        return
    server.objects.clear()
    http = Http()
    before = Folder(folder.with_name("before"))
    yield media_store(Bucket(server.bucket(http), cache=Folder(folder), local=before))
    assert sorted(server.objects) == sorted(path.name for path in Folder(folder).files())
    http.close()


def media_store(place: MediaBackend, key: bytes = b"k" * 32) -> MediaStore:
    return MediaStore(place, Links(key, "https://sms.example.com"))


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
