"""Unfinished bodies, without and with the documented nginx: little memory, and an end.

Strangers announce a large body, send nearly all of it, and wait. Callers that are known do the same
with their token; they are cut off when the total time is up.
"""

import socket
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.server import Server
from torture.check import Check, Figures, Mutant, Scale
from torture.checks.front_proxy import SPARE
from torture.checks.slow_clients import open_sockets
from torture.environment import (
    WEBHOOK_PATH,
    TestEnvironment,
    new_device_token,
    require,
    wait_until,
    web_process_pids,
)
from torture.proxy import HOST, Nginx

SENT = 900_000  # bytes of a body of 1 MB that never ends
# More than this would be the bodies themselves.
MOST_BYTES = 60_000_000
SECONDS = (
    120.0  # in which every caller is cut off: four times the time of a body, for slow machines
)
TWILIO = {
    "TWILIO_ACCOUNT_SID": "AC00000000000000000000000000000001",
    "TWILIO_AUTH_TOKEN": "0123456789abcdef0123456789abcdef",
}
Connect = Callable[[], socket.socket]


def _strangers() -> tuple[tuple[bytes, int], ...]:
    """What strangers send before the body, and with which status they are refused."""
    path = WEBHOOK_PATH.partition("?")[0].encode()
    media = b"Content-Type: multipart/form-data; boundary=x\r\n"
    return (
        (_head(path), 401),
        (_head(path + b"?token=wrong"), 401),
        (_head(b"/webhook/twilio/sms"), 401),
        (_head(b"/webhook/twilio/sms", b"X-Twilio-Signature: aaaa\r\n"), 413),
        (_head(b"/api/v1/media", media), 401),
        (_head(b"/api/v1/messages", b"Authorization: Bearer wrong\r\n"), 401),
        (_head(b"/api/v1/pair", b"Content-Type: application/json\r\n"), 413),
        (_head(b"/admin/sign-in", b"Content-Type: application/x-www-form-urlencoded\r\n"), 413),
    )


def _head(path: bytes, more: bytes = b"") -> bytes:
    announced = b"Content-Length: 1000000\r\n\r\n"
    return b"POST " + path + b" HTTP/1.1\r\nHost: " + HOST.encode() + b"\r\n" + more + announced


def run(environment: TestEnvironment, scale: Scale) -> Figures:
    """Strangers are refused before their bodies end; known callers after the total time."""
    server = environment.start_server(ADMIN_PASSWORD="a good password", **TWILIO)
    token, count = new_device_token(server), scale.pick(96, 480)
    strangers = _strangers()

    def connect() -> socket.socket:
        return socket.create_connection(("127.0.0.1", server.port), 60)

    with ExitStack() as stack:
        before = _memory(server)
        refused = []
        for n in range(count):
            head, status = strangers[n % len(strangers)]
            client = stack.enter_context(connect())
            answer = _answer(client, head)
            require(answer == status, f"an unfinished body is answered {answer}: {head[:60]!r}")
            refused.append(client)
        grown = _memory(server) - before
        require(grown < MOST_BYTES, f"bodies of strangers hold {grown // 1_000_000} MB")
        known = [stack.enter_context(connect()) for _ in range(4)]
        _send(known[0], _head(WEBHOOK_PATH.encode()))
        _send(known[1], _head(WEBHOOK_PATH.encode()) + b"[")
        bearer = f"Authorization: Bearer {token}\r\n".encode()
        text = _head(b"/api/v1/messages", bearer + b"Content-Type: application/json\r\n")
        text = text.replace(b"1000000", b"200000")
        _send(known[2], text)
        _send(known[3], text + b"{")
        for client in known:
            cut = _status_at_the_end(client)
            require(cut == 408, f"a known caller with an unfinished body gets {cut}")
        wait_until(lambda: all(map(_is_closed, refused)), "the end of all strangers", SECONDS)
    return {
        "strangers refused before their bodies ended": len(refused),
        "MB that they had announced": len(refused),
        "memory of them, MB": max(0, grown) // 1_000_000,
        "known callers cut off with 408": len(known),
    }


def run_behind_nginx(environment: TestEnvironment, scale: Scale) -> Figures:
    """nginx keeps the unfinished bodies, and closes them."""
    server = environment.start_server(
        ADMIN_PASSWORD="a good password", TRUSTED_PROXIES="127.0.0.1", **TWILIO
    )
    nginx = environment.enter(Nginx(environment.folder / "nginx", server))
    count = scale.pick(96, 960)
    token = new_device_token(server)
    bearer = f"Authorization: Bearer {token}\r\n".encode()
    form = b"Content-Type: multipart/form-data; boundary=x\r\n"
    heads = (
        _head(WEBHOOK_PATH.encode()),
        _head(WEBHOOK_PATH.partition("?")[0].encode()),
        _head(b"/api/v1/media", bearer + form),
        _head(b"/webhook/twilio/sms", b"X-Twilio-Signature: aaaa\r\n"),
    )
    sockets, before = open_sockets(server), _memory(server)
    through = 0
    with ExitStack() as stack:
        waiting = []
        for n in range(count):
            plain = socket.create_connection(("127.0.0.1", nginx.port), 60)
            client = stack.enter_context(nginx.tls_context.wrap_socket(plain))
            _send(client, heads[n % len(heads)])
            waiting.append(client)
            through = max(through, open_sockets(server) - sockets)
        require(through <= SPARE, f"{through} unfinished bodies came through")
        grown = _memory(server) - before
        require(grown < MOST_BYTES, f"unfinished bodies hold {grown // 1_000_000} MB")
        _require_end(waiting)
    return {
        "unfinished bodies": count,
        "that came through": through,
        "memory of them, MB": max(0, grown) // 1_000_000,
    }


def _require_end(clients: Sequence[socket.socket]) -> None:
    wait_until(lambda: all(map(_is_closed, clients)), "the end of all unfinished bodies", SECONDS)


def _send(client: socket.socket, head: bytes) -> None:
    client.sendall(head + bytes(100_000))


def _answer(client: socket.socket, head: bytes) -> int:
    """The status with which a body is answered whose end has not come; 0 without an answer."""
    client.settimeout(10)
    try:
        client.sendall(head)
        answer = client.recv(4096)
        client.sendall(bytes(SENT))
    except OSError:
        return 0
    return _status(answer)


def _status(answer: bytes) -> int:
    return int(answer[9:12]) if answer[9:12].isdigit() else 0


def _status_at_the_end(client: socket.socket) -> int:
    """The status of the answer, after which the server must close the connection; 0 without."""
    client.settimeout(SECONDS)
    answer = b""
    try:
        while received := client.recv(4096):
            answer += received
    except ConnectionResetError:  # what was sent and not read
        return _status(answer)
    except OSError:
        return 0
    return _status(answer)


def _is_closed(client: socket.socket) -> bool:
    client.settimeout(0.001)
    try:
        while client.recv(4096):
            pass
    except TimeoutError:
        return False
    except OSError:
        return True
    return True


def _memory(server: Server) -> int:
    """The memory of the web process in bytes."""
    lines = Path(f"/proc/{web_process_pids(server)[0]}/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


CHECK = Check(
    name="unfinished_bodies",
    claim=(
        "A stranger is refused before the body has ended, so unfinished bodies hold no memory; "
        "a known caller is cut off with 408 when the total time is up."
    ),
    run=run,
    mutants=(
        Mutant(
            "blueprints/webhooks.py",
            "            receiver.check_head(provider, head)\n",
            "",
            "webhooks read the body before they look at the token",
        ),
        Mutant(
            "blueprints/request_body.py",
            "with deadline(max(left, 0.001)):",
            "with deadline(3600.0):",
            "a body has no total time",
        ),
        Mutant(
            "services/providers/base.py",
            "            return self.unproven_bytes\n",
            "            return self.webhook_bytes\n",
            "bodies of strangers may be large where the body is signed",
        ),
    ),
)

BEHIND_NGINX = Check(
    name="unfinished_nginx",
    claim="Behind the documented nginx no unfinished body reaches Textbridge, and each has an end.",
    run=run_behind_nginx,
    needs=("nginx",),
    mutants=(
        Mutant(
            "docs/deploy.md",
            "client_body_timeout 10s; ",
            "proxy_request_buffering off; ",
            "incomplete bodies are passed on",
        ),
    ),
)
