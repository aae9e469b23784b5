"""A mail server that keeps what it is given."""

import email
import email.policy
import socketserver
import sys
import threading
from email.message import EmailMessage
from typing import Any

from tests.fakes.serving import Serving
from tests.waiting import PATIENCE


class Mailbox(Serving):
    """Speaks enough SMTP to take mail; ``mails`` are what came, ``refusals`` are said first."""

    def __init__(self, port: int = 0) -> None:
        self.mails: list[EmailMessage] = []
        self.refusals: list[bytes] = []
        self._changed = threading.Condition()
        mailbox = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self.wfile.write(b"220 mailbox ready\r\n")
                for line in self.rfile:
                    verb = line[:4].upper()
                    if verb == b"DATA":
                        self.wfile.write(b"354 go on\r\n")
                        self.wfile.write(mailbox._take(self._content()))
                    elif verb == b"QUIT":
                        self.wfile.write(b"221 bye\r\n")
                        return
                    else:
                        self.wfile.write(mailbox._hear(line))

            def _content(self) -> bytes:
                lines = []
                for line in self.rfile:
                    if line == b".\r\n":
                        break
                    lines.append(line[1:] if line.startswith(b".") else line)
                return b"".join(lines)

        self._server = _Server(("127.0.0.1", port), Handler)

    @property
    def env(self) -> dict[str, str]:
        """The variables that send mail here."""
        return {
            "MAIL_HOST": "127.0.0.1",
            "MAIL_PORT": str(self._server.server_address[1]),
            "MAIL_FROM_ADDRESS": "texts@example.com",
        }

    def _hear(self, line: bytes) -> bytes:
        """The answer to a line of the conversation before the mail."""
        return b"250 ok\r\n"

    def _take(self, content: bytes) -> bytes:
        with self._changed:
            if self.refusals:
                return self.refusals.pop(0)
            mail = email.message_from_bytes(content, policy=email.policy.default)
            assert isinstance(mail, EmailMessage)
            self.mails.append(mail)
            self._changed.notify_all()
            return b"250 taken\r\n"

    def wait_for(self, count: int, seconds: float = PATIENCE) -> list[EmailMessage]:
        """Wait until so many mails came, and return all."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.mails) >= count, seconds), "no mail came"
            return list(self.mails)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128  # a caller more than these has to wait for seconds

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], OSError):  # callers may hang up at any time
            super().handle_error(request, client_address)
