"""Bodies that the connection cuts: nothing is done with the part that came."""

import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from services.store import devices
from services.store.database.store import Store
from tests.conftest import NUMBER_ENTRY, settings_file
from tests.server import running_server
from tests.waiting import PATIENCE

pytestmark = pytest.mark.processes
TEXT = json.dumps({"to": "+12025550199", "text": "half of it"}).encode()
FORM = (
    b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n'
    b"Content-Type: text/plain\r\n\r\nhello\r\n--x--\r\n"
)


@pytest.fixture(scope="module")
def called(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, str]]:
    """The port of a server, and a device's token."""
    folder: Path = tmp_path_factory.mktemp("cut")
    (folder / "message_settings.json").write_text(settings_file(NUMBER_ENTRY), encoding="utf-8")
    with running_server(folder) as server:
        store = Store(None, folder)
        _, token = store.write(lambda tx: devices.add(tx, "201", "Phone"))
        store.close()
        yield server.port, token


def answer(port: int, head: str, body: bytes) -> bytes:
    """The answer to a request that ends with its connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        connection.sendall(head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body)
        connection.shutdown(socket.SHUT_WR)
        told = b""
        with suppress(ConnectionResetError):  # the server does not read all of a wrong chunk
            while more := connection.recv(65_536):
                told += more
        return told


@pytest.mark.parametrize(
    ("length", "body", "status"),
    [
        (f"Content-Length: {len(TEXT)}", TEXT, b"202"),
        (f"Content-Length: {len(TEXT) + 9}", TEXT, b"400"),
        (f"Content-Length: {len(TEXT) + 9}", b"", b"400"),
        ("Transfer-Encoding: chunked", b"%x\r\n%b\r\n0\r\n\r\n" % (len(TEXT), TEXT), b"202"),
        ("Transfer-Encoding: chunked", b"%x\r\n%b\r\n" % (len(TEXT), TEXT), b"400"),
        ("Transfer-Encoding: chunked", b"%x\r\n%b\r\n0\r\n" % (len(TEXT), TEXT), b"400"),
        ("Transfer-Encoding: chunked", b"%x\r\n%b" % (len(TEXT) + 9, TEXT), b"400"),
        ("Transfer-Encoding: chunked", b"nonsense\r\n", b"400"),
        # Longer than a line may be (8,190), and not more than two reads of the server: one that
        # closes before it has read all resets the connection, and its answer may be lost.
        ("Transfer-Encoding: chunked", b"5;" + b"a" * 10_000, b"400"),
    ],
)
def test_a_text_that_is_cut_is_not_sent(
    called: tuple[int, str], length: str, body: bytes, status: bytes
) -> None:
    port, token = called
    head = (
        f"POST /api/v1/messages HTTP/1.1\nHost: localhost\nAuthorization: Bearer {token}\n"
        f"Content-Type: application/json\nConnection: close\n{length}"
    )
    assert answer(port, head, body).split(b" ", 2)[1] == status


@pytest.mark.parametrize(("missing", "status"), [(0, b"201"), (9, b"400")])
def test_a_file_that_is_cut_is_not_kept(
    called: tuple[int, str], missing: int, status: bytes
) -> None:
    port, token = called
    head = (
        f"POST /api/v1/media HTTP/1.1\nHost: localhost\nAuthorization: Bearer {token}\n"
        f"Content-Type: multipart/form-data; boundary=x\nConnection: close\n"
        f"Content-Length: {len(FORM) + missing}"
    )
    assert answer(port, head, FORM).split(b" ", 2)[1] == status
