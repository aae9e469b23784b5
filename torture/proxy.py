"""nginx with the configuration of docs/deploy.md, in front of a server of this machine.

Only what differs from machine to machine is replaced: ports, certificate, the folder of the logs.
"""

import re
import ssl
import subprocess
from contextlib import closing, suppress
from http.client import HTTPException, HTTPSConnection
from pathlib import Path
from typing import Self

import requests

from tests.certificates import own_certificate
from tests.postgres import free_port
from tests.server import ROOT, Server
from torture.ground import wait_until

HOST = "sms.example.com"
DOCUMENT = ROOT / "docs" / "deploy.md"
BLOCK = re.compile(r"^## nginx in front$.*?^```nginx\n(.*?)^```$", re.DOTALL | re.MULTILINE)
# As Debian's own, with the connections that the document asks for.
MAIN = """\
user root;
daemon off;
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
    """nginx, as documented, before ``server``; runs as long as its ``with`` lasts."""

    def __init__(self, folder: Path, server: Server) -> None:
        self._folder = folder
        self.port, self.plain_port = free_port(), free_port()
        folder.mkdir()
        certificate = own_certificate(folder, HOST)
        self.trusting = ssl.create_default_context(cafile=str(certificate))
        self.trusting.check_hostname = False  # callers know the port only
        (folder / "nginx.conf").write_text(MAIN.format(folder=folder))
        (folder / "textbridge.conf").write_text(self._configuration(server, certificate))

    def __enter__(self) -> Self:
        command = ["nginx", "-p", str(self._folder), "-c", str(self._folder / "nginx.conf")]
        with (self._folder / "output").open("wb") as output:
            self._process = subprocess.Popen(
                [*command, "-e", str(self._folder / "error.log")], stdout=output, stderr=output
            )
        wait_until(self._answers, f"nginx ({(self._folder / 'output').read_text()})")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(20)

    def logged(self) -> str:
        """Everything that it has written into its logs."""
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
        for theirs, ours in (
            ("listen 80;", f"listen 127.0.0.1:{self.plain_port};"),
            ("listen 443 ssl;", f"listen 127.0.0.1:{self.port} ssl;"),
            (f"/etc/letsencrypt/live/{HOST}/fullchain.pem", str(certificate)),
            (f"/etc/letsencrypt/live/{HOST}/privkey.pem", str(certificate)),
            ("/var/log/nginx/", f"{self._folder}/"),
            ("http://127.0.0.1:8000;", f"{server.url};"),
        ):
            if theirs not in written:
                raise ValueError(f"the documented configuration has no “{theirs}”")
            written = written.replace(theirs, ours)
        return written


class Caller:
    """Somebody outside, at an address of their own, with a connection that is kept."""

    def __init__(self, nginx: Nginx, address: str = "127.0.0.2") -> None:
        self._nginx, self._address = nginx, address
        self._connection: HTTPSConnection | None = None

    def call(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
        """One request: the status (0 without an answer) and the body."""
        connection = self._connection or self.connected()
        told = {"Host": HOST, "Content-Type": "application/json", **headers}
        try:
            connection.request(method, path, body or None, told)
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, HTTPException):
            connection.close()
            self._connection = None
            return 0, b""
        self._connection = connection
        return answer.status, content

    def announce(self, path: str, size: int) -> int:
        """The status of the answer to the head alone of a request with such a body."""
        with closing(self.connected()) as connection:
            connection.putrequest("POST", path, skip_host=True)
            connection.putheader("Host", HOST)
            connection.putheader("Content-Length", str(size))
            connection.endheaders()
            return connection.getresponse().status

    def connected(self) -> HTTPSConnection:
        """A connection of their own; each read ends after ten seconds."""
        return HTTPSConnection(
            "127.0.0.1",
            self._nginx.port,
            timeout=10,
            context=self._nginx.trusting,
            source_address=(self._address, 0),
        )
