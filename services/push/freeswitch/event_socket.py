"""Client for the FreeSWITCH event socket (ESL, mod_event_socket).

Source: https://developer.signalwire.com/freeswitch/FreeSWITCH-Explained/Modules/mod_event_socket_1048924/

A packet is lines of ``name: value``, an empty line and a body of ``Content-Length`` bytes. Commands
are answered in their order. Events arrive between the answers: each is a packet in the body of
another packet, and its values are percent-encoded.
"""

import re
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from queue import Empty, Queue
from threading import Event, Lock, Thread
from typing import IO
from urllib.parse import unquote

from services.core.errors import Kind, PushError

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 10.0
PAUSE_SECONDS = 10.0  # of the whole channel when FreeSWITCH is not reachable
LINE_BYTES = 64 * 1024
BODY_BYTES = 1024 * 1024
_LINE_BREAKS = re.compile("[\r\n\x00]+")


@dataclass(frozen=True, slots=True)
class Packet:
    """An answer or an event; the names of ``headers`` are in lower case."""

    headers: Mapping[str, str]
    body: str


class EventSocket:
    """One connection. Several greenlets may send commands at the same time.

    ``on_event`` is called with every subscribed event, and with ``None`` when the connection is
    lost. It must not block.
    """

    def __init__(
        self, host: str, port: int, password: str, on_event: Callable[[Packet | None], None]
    ) -> None:
        """Connect and sign in. Raises ``PushError``."""
        self._where = f"FreeSWITCH at {host}:{port}"
        self._on_event = on_event
        self._write_lock = Lock()
        self._answers: Queue[Packet | None] = Queue()
        self._lost = Event()
        try:
            self._socket = socket.create_connection((host, port), timeout=CONNECT_SECONDS)
        except OSError:
            reason = f"{self._where} did not take the connection."
            raise PushError(reason, Kind.RETRY, retry_after=PAUSE_SECONDS) from None
        self._socket.settimeout(None)  # the receiving thread waits without a limit
        self._receiver = Thread(target=self._receive, daemon=True)
        self._receiver.start()
        try:
            self._sign_in(password)
        except BaseException:
            self.close()
            raise

    @property
    def lost(self) -> bool:
        """Whether the connection is lost."""
        return self._lost.is_set()

    def command(self, line: str) -> str:
        """Send a command; returns its one-line answer, such as ``+OK``. Raises ``PushError``."""
        return self._exchange(f"{_one_line(line)}\n\n".encode()).headers.get("reply-text", "")

    def api(self, line: str) -> str:
        """Run a FreeSWITCH console command; returns its output. Raises ``PushError``."""
        return self._exchange(f"api {_one_line(line)}\n\n".encode()).body.strip()

    def send_event(self, name: str, headers: Mapping[str, str], body: str) -> None:
        """Fire an event in FreeSWITCH; line breaks in header values become spaces.

        Raises ``PushError``.
        """
        content = body.encode()
        lines = [f"sendevent {name}", *(f"{key}: {_one_line(headers[key])}" for key in headers)]
        lines += [f"content-length: {len(content)}", "", ""]
        answer = self._exchange("\n".join(lines).encode() + content)
        reply = answer.headers.get("reply-text", "")
        if not reply.startswith("+OK"):
            raise PushError(f"{self._where} did not take an event: “{reply[:80]}”.", Kind.RETRY)

    def close(self) -> None:
        """Close the connection; a call that waits for an answer raises ``PushError``."""
        with suppress(OSError):  # the server may have closed it already
            self._socket.shutdown(socket.SHUT_RDWR)
        self._receiver.join(timeout=ANSWER_SECONDS)

    def _sign_in(self, password: str) -> None:
        greeting = self._answer()
        if greeting.headers["content-type"] == "text/rude-rejection":
            reason = (
                f"{self._where} does not let this machine in. Add its address to the list that "
                "apply-inbound-acl names in event_socket.conf.xml."
            )
            raise PushError(reason, Kind.CONFIG)
        if not self.command(f"auth {password}").startswith("+OK"):
            reason = f"{self._where} refuses the password in FS_ESL_PW."
            raise PushError(reason, Kind.CONFIG)

    def _exchange(self, command: bytes) -> Packet:
        with self._write_lock:
            try:
                self._socket.sendall(command)
                return self._answer()
            except OSError:
                raise self._broken() from None
            except BaseException:  # else a late answer is read as the next one's
                self.close()
                raise

    def _answer(self) -> Packet:
        try:
            answer = self._answers.get(timeout=ANSWER_SECONDS)
        except Empty:
            reason = f"{self._where} did not answer within {ANSWER_SECONDS:.0f} seconds."
            raise PushError(reason, Kind.RETRY, retry_after=PAUSE_SECONDS) from None
        if answer is None:
            raise self._broken()
        return answer

    def _broken(self) -> PushError:
        return PushError(f"The connection to {self._where} broke.", Kind.RETRY)

    def _receive(self) -> None:
        try:
            with self._socket, self._socket.makefile("rb") as file:
                while True:
                    self._dispatch(_read(file))
        except (OSError, ValueError):
            pass
        finally:
            self._answers.put(None)
            self._on_event(None)
            self._lost.set()

    def _dispatch(self, packet: Packet) -> None:
        kind = packet.headers.get("content-type", "")
        if kind == "text/event-plain":
            self._on_event(_read(BytesIO(packet.body.encode("utf-8", "surrogateescape")), unquote))
        elif kind != "text/disconnect-notice":
            self._answers.put(packet)


def _read(file: IO[bytes], decode: Callable[[str], str] = str) -> Packet:
    """Read one packet. Raises ``OSError`` at the end and ``ValueError`` for invalid data."""
    headers: dict[str, str] = {}
    while (line := file.readline(LINE_BYTES)).strip() or not headers:
        if not line.endswith(b"\n"):
            raise ConnectionError("The connection ended.")
        name, _, value = line.decode("utf-8", "surrogateescape").partition(":")
        if name.strip():
            headers[name.strip().lower()] = decode(value.strip())
    size = int(headers.get("content-length", "0"))
    if not 0 <= size <= BODY_BYTES:
        raise ValueError(f"A body of {size} bytes.")
    body = file.read(size)
    if len(body) < size:
        raise ConnectionError("The connection ended.")
    return Packet(headers, body.decode("utf-8", "surrogateescape"))


def _one_line(value: str) -> str:
    return _LINE_BREAKS.sub(" ", value)
