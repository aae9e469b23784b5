"""Mozilla's push service on this machine: what Firefox and the sender of a push both talk to.

The browser's side is a websocket: https://mozilla-push-service.readthedocs.io/en/latest/design/.
"""

import base64
import json
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from uuid import uuid4

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

PAGE = b"<!doctype html><title>A phone</title>"
WORKER = b"""addEventListener("push", (event) => {
  const told = event.data.json();
  const shown = { body: told.body, tag: told.conversation_id, data: told };
  event.waitUntil(registration.showNotification(told.title, shown));
});"""


class Autopush:
    """Takes pushes by HTTP and hands them to the browser that subscribed; serves a page, too."""

    def __init__(self) -> None:
        self._browsers: dict[str, ServerConnection] = {}
        self.subscribed: dict[str, str] = {}  # channel by endpoint path
        self.statuses: list[int] = []
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                status = service._push(self.path, dict(self.headers), body)
                service.statuses.append(status)
                self._answer(status, b"", "text/plain")

            def do_GET(self) -> None:
                if self.path == "/worker.js":
                    self._answer(200, WORKER, "text/javascript")
                else:
                    self._answer(200, PAGE, "text/html")

            def _answer(self, status: int, body: bytes, kind: str) -> None:
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        self._sockets = serve(self._browser, "127.0.0.1", 0, subprotocols=["push-notification"])  # type: ignore[list-item]
        self.socket_url = f"ws://127.0.0.1:{self._sockets.socket.getsockname()[1]}/"

    def _push(self, path: str, headers: dict[str, str], body: bytes) -> int:
        channel = self.subscribed.get(path)
        if channel is None:
            return 410
        told = {
            "messageType": "notification",
            "channelID": channel,
            "version": uuid4().hex,
            "data": base64.urlsafe_b64encode(body).rstrip(b"=").decode(),
            "headers": {"encoding": {k.lower(): v for k, v in headers.items()}["content-encoding"]},
        }
        self._browsers[channel].send(json.dumps(told))
        return 201

    def _browser(self, connection: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            for written in connection:
                self._hear(connection, json.loads(written))

    def _hear(self, connection: ServerConnection, said: dict[str, Any]) -> None:
        kind = said.get("messageType")
        if kind == "hello":
            answer = {"uaid": uuid4().hex, "use_webpush": True, "broadcasts": {}}
        elif kind == "register":
            path = f"/wpush/v2/{uuid4().hex}"
            self.subscribed[path] = said["channelID"]
            self._browsers[said["channelID"]] = connection
            answer = {"channelID": said["channelID"], "pushEndpoint": self.url + path}
        elif kind == "unregister":
            gone = [p for p, channel in self.subscribed.items() if channel == said["channelID"]]
            for path in gone:
                del self.subscribed[path]
            answer = {"channelID": said["channelID"]}
        else:  # ack, ping, broadcasts: nothing is to be said
            return
        connection.send(json.dumps({"messageType": kind, "status": 200, **answer}))

    def __enter__(self) -> "Autopush":
        for server in (self._http, self._sockets):
            threading.Thread(target=server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._sockets.shutdown()
        self._http.shutdown()
        self._http.server_close()
