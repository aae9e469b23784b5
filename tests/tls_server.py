"""A TLS server that shows a certificate and says nothing more, and authorities that trust it."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from services.http import adapters
from tests.certificates import own_certificate
from tests.fakes.serving import QuietServer, Serving


class TlsServer(Serving):
    """A server on ``localhost`` whose certificate ends in so many days."""

    def __init__(self, folder: Path, days_left: float, host: str = "localhost") -> None:
        folder.mkdir(exist_ok=True)
        self.certificate = own_certificate(folder, host, days_left)
        self._server = QuietServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certificate)
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self.port = self._server.server_address[1]
        self.url = f"https://localhost:{self.port}"


@contextmanager
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let clients of this process trust one certificate instead of the authorities."""
    with monkeypatch.context() as patch:
        patch.setattr(adapters, "DEFAULT_CA_BUNDLE_PATH", str(certificate))
        adapters.authorities.cache_clear()
        yield
    adapters.authorities.cache_clear()
