"""FreeSWITCH's event socket with phones behind it: checks what it is told, and can misbehave."""

import socket
import socketserver
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from tests.waiting import PATIENCE

PASSWORD = "a password of the tests"
DOMAIN = "pbx.example.com"
REQUIRED = {
    "event-subclass": "SMS::SEND_MESSAGE",
    "proto": "sip",
    "dest_proto": "sip",
    "from_host": DOMAIN,
    "to_host": DOMAIN,
    "sip_profile": "internal",
    "type": "text/plain",
    "replying": "true",
}


@dataclass(frozen=True)
class Shown:
    """What a phone shows."""

    extension: str
    sender: str
    text: str


class FreeSwitch:
    """``registered`` are the extensions with a phone; ``answers`` what phones say before 200.

    A ``None`` in ``answers`` is a report that never comes, ``""`` one without a code.
    """

    def __init__(self) -> None:
        self.registered = {"201"}
        self.users = {"201", "202", "203"}
        self.modules = {"mod_sms", "mod_sofia"}
        self.answers: deque[str | None] = deque()
        self.shown: list[Shown] = []
        self.faults: list[str] = []
        self.password = PASSWORD
        self.welcome = True
        self.mute = False  # takes commands and says nothing
        self.logins = 0
        self.refused = 0
        self.core = str(uuid4())
        self._sequence = 0
        self._connections: list[_Connection] = []
        self._changed = threading.Condition()
        self._server = _start(lambda sock: _Connection(self, sock).serve(), 0)
        self.port = int(self._server.server_address[1])

    @property
    def env(self) -> dict[str, str]:
        """The variables that lead here."""
        return {
            "FS_ESL_IP": "127.0.0.1",
            "FS_ESL_PORT": str(self.port),
            "FS_ESL_PW": PASSWORD,
            "FS_SIP_DOMAIN": DOMAIN,
        }

    def register(self, extension: str) -> None:
        """A phone registers."""
        self.registered.add(extension)
        self.fire(
            "CUSTOM sofia::register",
            {
                "Event-Name": "CUSTOM",
                "Event-Subclass": "sofia::register",
                "profile-name": "internal",
                "from-user": extension,
                "from-host": DOMAIN,
            },
        )

    def text(self, sender: str, to: str, body: str, **changes: str) -> None:
        """A phone texts; ``changes`` replace headers of the event."""
        headers = {
            "Event-Name": "MESSAGE",  # as FreeSWITCH's copy has it
            "login": f"sip:mod_sofia@{DOMAIN}:5060",
            "proto": "sip",
            "from": f"{sender}@{DOMAIN}",
            "from_user": sender,
            "from_host": DOMAIN,
            "to_user": to,
            "to_host": DOMAIN,
            "type": "text/plain",
            "context": "public",
            "sip_profile": "internal",
        }
        self.fire("RECV_MESSAGE", headers | changes, body)

    def fire(self, name: str, headers: dict[str, str], body: str = "") -> None:
        """Give an event to everybody who has subscribed to it."""
        with self._changed:
            self._sequence += 1
            numbered = {"Core-UUID": self.core, "Event-Sequence": str(self._sequence)}
            listeners = [c for c in self._connections if name in c.subscribed]
        for connection in listeners:
            connection.event(headers | numbered, body)

    def wait_shown(self, count: int, seconds: float = PATIENCE) -> list[Shown]:
        """Wait until phones have shown so many texts, and return all."""
        with self._changed:
            arrived = self._changed.wait_for(lambda: len(self.shown) >= count, seconds)
            assert arrived, f"only {self.shown} of {count} came; faults: {self.faults}"
            return list(self.shown)

    def wait_listeners(self, count: int = 1, seconds: float = PATIENCE) -> None:
        """Wait until exactly so many connections listen to what phones text."""

        def listeners() -> int:
            return sum("RECV_MESSAGE" in c.subscribed for c in self._connections)

        with self._changed:
            assert self._changed.wait_for(lambda: listeners() == count, seconds), listeners()

    def drop(self) -> None:
        """Break every connection."""
        for connection in list(self._connections):
            connection.cut()

    def stop(self) -> None:
        """Be gone, until ``come_back``."""
        self._server.shutdown()
        self._server.server_close()
        self.drop()

    def come_back(self) -> None:
        """Be there again, on the same port."""
        self._server = _start(lambda sock: _Connection(self, sock).serve(), self.port)

    def __enter__(self) -> "FreeSwitch":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        if kind is None:
            assert self.faults == []

    # What the connections do

    def changed(self, change: Callable[[], object]) -> None:
        """Make a change that somebody may wait for."""
        with self._changed:
            change()
            self._changed.notify_all()

    def api(self, line: str) -> str:
        """A command of the console."""
        match line.split(" "):
            case ["module_exists", module]:
                return "true" if module in self.modules else "false"
            case ["sofia_contact", address] if address.startswith("*/"):
                user, _, domain = address.removeprefix("*/").partition("@")
                if domain == DOMAIN and user in self.registered:
                    return f"sofia/internal/sip:{user}@192.0.2.1:5060"
                return "error/user_not_registered"
            case ["user_exists", "id", user, domain]:
                return "true" if domain == DOMAIN and user in self.users else "false"
            case ["uptime"]:
                return "4711"
        self.faults.append(f"api {line}")
        return f"-ERR {line} Command not found!\n"

    def send_message(self, headers: dict[str, str], body: str) -> None:
        """``SMS::SEND_MESSAGE``: what mod_sms makes of it."""
        wrong = {k: headers.get(k) for k, v in REQUIRED.items() if headers.get(k) != v}
        sender, extension = headers.get("from_user", ""), headers.get("to_user", "")
        address = f"sip:{sender}@{DOMAIN}"
        if wrong or headers.get("from_full") != f"<{address}>" or headers.get("from") != address:
            self.faults.append(f"headers {wrong} {headers}")
        if headers.get("to") != f"{extension}@{DOMAIN}" or len(body.encode()) > 800:
            self.faults.append(f"to {headers.get('to')}, {len(body.encode())} bytes")
        if extension not in self.registered:
            self.faults.append(f"lost: a text to {extension}, which is not registered")
        blocking = headers.get("blocking") == "true"
        answer = self.answers.popleft() if self.answers and blocking else "200"
        if answer is None:
            return
        if answer == "200":
            self.changed(lambda: self.shown.append(Shown(extension, sender, body)))
        report = {k: v for k, v in headers.items() if k not in ("event-subclass", "content-length")}
        report |= {"Event-Name": "CUSTOM", "Event-Subclass": "SMS::DELIVERY_REPORT"}
        report["Status"] = "Accepted"
        if blocking:
            report["Status"] = "Success" if answer == "200" else "Failure"
            report |= {"Delivery-Result-Code": answer} if answer else {}
        self.fire("CUSTOM SMS::DELIVERY_REPORT", report)

    def arrive(self, connection: "_Connection") -> None:
        """A connection was made."""
        self.changed(lambda: self._connections.append(connection))

    def leave(self, connection: "_Connection") -> None:
        """A connection is over."""
        self.changed(lambda: self._connections.remove(connection))


class _Connection:
    """One connection, as mod_event_socket holds it."""

    def __init__(self, switch: FreeSwitch, sock: socket.socket) -> None:
        self.subscribed: set[str] = set()
        self._switch = switch
        self._socket = sock
        self._file = sock.makefile("rb")
        self._writing = threading.Lock()
        self._known = False

    def serve(self) -> None:
        self._switch.arrive(self)
        try:
            if not self._switch.welcome:
                refusal = "Access Denied, go away.\n"
                self._say({"Content-Type": "text/rude-rejection"}, refusal)
                return
            self._say({"Content-Type": "auth/request"})
            while command := self._command():
                if not self._do(*command):
                    return
        except OSError:
            pass
        finally:
            self._switch.leave(self)
            self._file.close()

    def cut(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def event(self, headers: dict[str, str], body: str) -> None:
        content = body.encode("utf-8", "surrogateescape")
        # Header values of events are percent-encoded, and their body has a length of its own.
        lines = [f"{name}: {quote(value)}" for name, value in headers.items()]
        if content:
            lines.append(f"Content-Length: {len(content)}")
        whole = "\n".join([*lines, "", ""]).encode() + content
        with suppress(OSError):
            self._say({"Content-Type": "text/event-plain"}, whole)

    def _command(self) -> tuple[str, dict[str, str], str] | None:
        first = self._file.readline()
        headers: dict[str, str] = {}
        while (line := self._file.readline()) not in (b"\n", b""):
            name, colon, value = line.decode().rstrip("\n").partition(": ")
            if not colon or "\r" in value or name.lower() in headers:
                self._switch.faults.append(f"header {line!r}")
            headers[name.lower()] = value
        body = self._file.read(int(headers.get("content-length", "0"))).decode()
        return (first.decode().rstrip("\n"), headers, body) if first else None

    def _do(self, line: str, headers: dict[str, str], body: str) -> bool:
        word, _, rest = line.partition(" ")
        if self._switch.mute:
            return True
        if word == "auth":
            return self._sign_in(rest)
        if not self._known:
            self._switch.faults.append(f"{word} before auth")
            return False
        if word == "api":
            self._say({"Content-Type": "api/response"}, self._switch.api(rest))
        elif word == "event" and rest.startswith("plain "):
            self._subscribe(rest.removeprefix("plain ").split(" "))
            self._reply("+OK event listener enabled plain")
        elif word == "sendevent" and rest == "CUSTOM":
            self._reply(f"+OK {uuid4()}")
            self._switch.send_message(headers, body)
        else:
            self._switch.faults.append(line)
            self._reply("-ERR command not found")
        return True

    def _sign_in(self, password: str) -> bool:
        if password != self._switch.password:
            self._switch.refused += 1
            self._reply("-ERR invalid")
            self._say({"Content-Type": "text/disconnect-notice"}, "Disconnected, goodbye.\n")
            return False
        self._known = True
        self._switch.logins += 1
        self._reply("+OK accepted")
        return True

    def _subscribe(self, words: list[str]) -> None:
        custom = words.index("CUSTOM") if "CUSTOM" in words else len(words)
        names = {*words[:custom], *(f"CUSTOM {name}" for name in words[custom + 1 :])}
        self._switch.changed(lambda: self.subscribed.update(names))

    def _reply(self, text: str) -> None:
        self._say({"Content-Type": "command/reply", "Reply-Text": text})

    def _say(self, headers: dict[str, Any], body: str | bytes = b"") -> None:
        content = body.encode() if isinstance(body, str) else body
        if content:
            headers["Content-Length"] = len(content)
        lines = "".join(f"{name}: {value}\n" for name, value in headers.items())
        with self._writing:
            self._socket.sendall(lines.encode() + b"\n" + content)


def _start(serve: Callable[[socket.socket], None], port: int) -> socketserver.ThreadingTCPServer:
    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            serve(self.request)

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True

    server = Server(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    return server
