"""nginx as reverse proxy with the configuration of docs/deploy.md, and clients that use it.

Only ports, certificate and the folder of the logs are replaced in the documented configuration.
"""

import re
import ssl
from collections.abc import Callable
from contextlib import closing, suppress
from http.client import HTTPException, HTTPSConnection
from pathlib import Path
from typing import Self

import requests

from tests.certificates import own_certificate
from tests.postgres import free_port
from tests.processes import start
from tests.server import ROOT, Server
from torture.environment import wait_until

HOST = "sms.example.com"
DOCUMENT = ROOT / "docs" / "deploy.md"
BLOCK = re.compile(r"^## nginx in front$.*?^```nginx\n(.*?)^```$", re.DOTALL | re.MULTILINE)
# As Debian's nginx.conf, with the number of connections that the document requires.
MAIN_CONFIGURATION = """\
user root;
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
    access_log {folder}/access.log;
    error_log {folder}/error.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    gzip on;
    include {folder}/textbridge.conf;
}}
"""


class Nginx:
    """nginx, as documented, in front of ``server``; runs while its context is entered."""

    def __init__(
        self,
        folder: Path,
        server: Server,
        change: Callable[[str], str] = lambda written: written,
        days_left: float = 60.0,
    ) -> None:
        """``change`` makes another configuration of the documented one.

        ``days_left`` is for how long its certificate is good.
        """
        self._folder = folder
        self.port, self.plain_port = free_port(), free_port()
        folder.mkdir()
        self.certificate = certificate = own_certificate(folder, HOST, days_left)
        self.tls_context = ssl.create_default_context(cafile=str(certificate))
        self.tls_context.check_hostname = False  # clients connect to an IP address
        (folder / "nginx.conf").write_text(MAIN_CONFIGURATION.format(folder=folder))
        (folder / "textbridge.conf").write_text(change(self._configuration(server, certificate)))

    def __enter__(self) -> Self:
        command = ["-p", str(self._folder), "-c", str(self._folder / "nginx.conf")]
        with (self._folder / "output").open("wb") as output:
            self._process = start(
                "nginx",
                *command,
                "-e",
                str(self._folder / "error.log"),
                stdout=output,
                stderr=output,
            )
        wait_until(self._answers, f"nginx ({(self._folder / 'output').read_text()})")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(20)

    def logged(self) -> str:
        """The content of all nginx logs."""
        return "".join(log.read_text(errors="replace") for log in self._folder.glob("*.log"))

    def _answers(self) -> bool:
        with suppress(requests.RequestException):
            address = f"http://127.0.0.1:{self.plain_port}/"
            return requests.get(address, timeout=2, allow_redirects=False).status_code == 301
        return False

    def _configuration(self, server: Server, certificate: Path) -> str:
        found = BLOCK.search(DOCUMENT.read_text("utf-8"))
        if found is None:
            raise ValueError(f"{DOCUMENT.name} has no configuration of nginx")
        written = re.sub(r"^.*listen \[::\]:.*\n", "", found[1], flags=re.MULTILINE)
        for documented, replacement in (
            ("listen 80;", f"listen 127.0.0.1:{self.plain_port};"),
            ("listen 443 ssl;", f"listen 127.0.0.1:{self.port} ssl;"),
            (f"/etc/letsencrypt/live/{HOST}/fullchain.pem", str(certificate)),
            (f"/etc/letsencrypt/live/{HOST}/privkey.pem", str(certificate)),
            ("/var/log/nginx/", f"{self._folder}/"),
            ("http://127.0.0.1:8000;", f"{server.url};"),
        ):
            if documented not in written:
                raise ValueError(f"the documented configuration has no “{documented}”")
            written = written.replace(documented, replacement)
        return written


class ProxyClient:
    """A client of nginx with its own source address and a keep-alive connection."""

    def __init__(self, nginx: Nginx, address: str = "127.0.0.2") -> None:
        self._nginx, self._address = nginx, address
        self._connection: HTTPSConnection | None = None

    def call(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
        """Send one request; returns the status (0 without an answer) and the body."""
        connection = self._connection or self.connect()
        all_headers = {"Host": HOST, "Content-Type": "application/json", **headers}
        try:
            connection.request(method, path, body or None, all_headers)
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, HTTPException):
            connection.close()
            self._connection = None
            return 0, b""
        self._connection = connection
        return answer.status, content

    def announce(self, path: str, size: int) -> int:
        """Send only the headers of a request with a body of this size; returns the status."""
        with closing(self.connect()) as connection:
            connection.putrequest("POST", path, skip_host=True)
            connection.putheader("Host", HOST)
            connection.putheader("Content-Length", str(size))
            connection.endheaders()
            return connection.getresponse().status

    def connect(self) -> HTTPSConnection:
        """Open a new connection; each read times out after ten seconds."""
        return HTTPSConnection(
            "127.0.0.1",
            self._nginx.port,
            timeout=10,
            context=self._nginx.tls_context,
            source_address=(self._address, 0),
        )
