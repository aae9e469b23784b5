"""HTTP clients for the checks: a carrier that retries, an app, and parallel execution."""

import http.client
import json
import threading
from collections.abc import Callable, Iterable, Iterator
from time import monotonic, sleep
from typing import Any

from bench.measured_server import webhook_body
from tests.server import Server
from torture.environment import (
    EXTENSION,
    NUMBER,
    WEBHOOK_PATH,
    PromiseBroken,
    new_device_token,
)


class HttpClient:
    """An HTTP client with one keep-alive connection; not for use by several threads."""

    def __init__(self, server: Server, seconds: float = 30.0) -> None:
        self._port = server.port
        self._seconds = seconds
        self._connection: http.client.HTTPConnection | None = None

    def call(
        self, method: str, path: str, body: bytes = b"", **headers: str
    ) -> tuple[int, dict[str, Any]]:
        """Send one request; returns the status (0 without an answer) and the JSON object."""
        if self._connection is None:
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=self._seconds)
            self._connection = connection
        try:
            all_headers = {"Content-Type": "application/json", **headers}
            self._connection.request(method, path, body or None, all_headers)
            answer = self._connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException):
            self.close()
            return 0, {}
        if answer.will_close:
            self.close()
        try:
            parsed = json.loads(content or b"{}")
        except ValueError:
            parsed = {}
        return answer.status, parsed if isinstance(parsed, dict) else {}

    def close(self) -> None:
        """Close the connection; the next call opens a new one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class CarrierClient:
    """Posts numbered texts as Bandwidth does; ``acknowledged`` has the time of each first 2xx."""

    def __init__(self, server: Server, number: str = NUMBER) -> None:
        self.acknowledged: dict[int, float] = {}  # seconds of the monotonic clock
        self.repeats = 0
        self._server = server
        self._number = number
        self._lock = threading.Lock()

    def post(self, client: HttpClient, index: int) -> int:
        """Post a text once; returns the status, 0 without an answer."""
        status, _ = client.call("POST", WEBHOOK_PATH, webhook_body(index, self._number))
        if 200 <= status < 300:
            with self._lock:
                self.acknowledged.setdefault(index, monotonic())
        return status

    def post_until_accepted(self, client: HttpClient, index: int, seconds: float = 60.0) -> None:
        """Post a text until it is acknowledged, as carriers do. Raises ``PromiseBroken``."""
        end = monotonic() + seconds
        while not 200 <= self.post(client, index) < 300:
            if monotonic() > end:
                raise PromiseBroken(f"text {index} was never taken")
            sleep(0.05)

    def send(
        self,
        indexes: Iterable[int],
        *,
        connections: int = 8,
        twice: Callable[[int], bool] = lambda _: False,
    ) -> None:
        """Post these texts until all are acknowledged, over several connections in parallel.

        The texts for which ``twice`` is true are posted once more.
        """
        waiting, lock = iter(indexes), threading.Lock()

        def send_some(client: HttpClient) -> None:
            while (index := _next(waiting, lock)) is not None:
                self.post_until_accepted(client, index)
                if twice(index):
                    self.post_until_accepted(client, index)
                    with self._lock:
                        self.repeats += 1

        run_parallel([lambda: send_some(HttpClient(self._server))] * connections)


class AppClient:
    """The app of one extension: sends replies and calls the REST API."""

    def __init__(self, server: Server, extension: str = EXTENSION) -> None:
        self.token = new_device_token(server, extension)
        self._client = HttpClient(server)

    def call(self, method: str, path: str, **content: Any) -> tuple[int, dict[str, Any]]:
        """One call of the API; ``content`` is the JSON body."""
        body = json.dumps(content).encode() if content else b""
        headers = {"Authorization": f"Bearer {self.token}"}
        return self._client.call(method, f"/api/v1{path}", body, **headers)

    def register_push(self, kind: str, **address: Any) -> str:
        """Register the push address of the device; returns the device's id."""
        device = str(self.call("GET", "/me")[1]["device"]["id"])
        status, answer = self.call("PUT", f"/devices/{device}", push={"type": kind, **address})
        if status != 200:
            raise PromiseBroken(f"the push address was refused: {answer}")
        return device

    def reply(self, client_id: str, to: str = "+13035550177", **more: str) -> str:
        """Send a reply, repeated until it is accepted; returns the id of the message.

        ``more`` are further fields of the request.
        """
        for _ in range(600):
            status, answer = self.call(
                "POST", "/messages", to=to, text=f"reply {client_id}", client_id=client_id, **more
            )
            if 200 <= status < 300:
                return str(answer["id"])
            sleep(0.05)
        raise PromiseBroken(f"reply {client_id} was never taken: {status}")

    def status(self, message_id: str) -> str:
        """The status of a message; empty without an answer."""
        return str(self.call("GET", f"/messages/{message_id}")[1].get("status", ""))


def run_parallel(works: list[Callable[[], object]]) -> None:
    """Run functions in parallel threads, wait for all, and raise the first failure."""
    failed: list[BaseException] = []

    def run(work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(work,), daemon=True) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]


def _next(waiting: Iterator[int], lock: threading.Lock) -> int | None:
    with lock:
        return next(waiting, None)
