"""Who writes to Textbridge: a carrier that insists, an app; and what the database has of it."""

import http.client
import json
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from bench.street import webhook
from tests.server import Server
from torture.ground import EXTENSION, HOOK, NUMBER, Broken, bearer


class Line:
    """One caller with a connection that is kept as long as it lasts."""

    def __init__(self, server: Server, seconds: float = 30.0) -> None:
        self._port = server.port
        self._seconds = seconds
        self._connection: http.client.HTTPConnection | None = None

    def call(
        self, method: str, path: str, body: bytes = b"", **headers: str
    ) -> tuple[int, dict[str, Any]]:
        """One request; the status (0 without an answer) and what the answer says in JSON."""
        if self._connection is None:
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=self._seconds)
            self._connection = connection
        try:
            told = {"Content-Type": "application/json", **headers}
            self._connection.request(method, path, body or None, told)
            answer = self._connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException):
            self.close()
            return 0, {}
        if answer.will_close:
            self.close()
        try:
            said = json.loads(content or b"{}")
        except ValueError:
            said = {}
        return answer.status, said if isinstance(said, dict) else {}

    def close(self) -> None:
        """Hang up; the next call makes a new connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Carrier:
    """Posts numbered texts as Bandwidth does; ``acknowledged`` tells when each was answered 2xx."""

    def __init__(self, server: Server, number: str = NUMBER) -> None:
        self.acknowledged: dict[int, float] = {}  # monotonic, the first time
        self.repeats = 0
        self._server = server
        self._number = number
        self._lock = threading.Lock()

    def post(self, line: Line, index: int) -> int:
        """One attempt; the status, 0 without an answer."""
        status, _ = line.call("POST", HOOK, webhook(index, self._number))
        if 200 <= status < 300:
            with self._lock:
                self.acknowledged.setdefault(index, monotonic())
        return status

    def insist(self, line: Line, index: int, seconds: float = 60.0) -> None:
        """Post a text until it is taken, as carriers do."""
        end = monotonic() + seconds
        while not 200 <= self.post(line, index) < 300:
            if monotonic() > end:
                raise Broken(f"text {index} was never taken")
            sleep(0.05)

    def send(
        self,
        indexes: Iterable[int],
        *,
        lines: int = 8,
        twice: Callable[[int], bool] = lambda _: False,
    ) -> None:
        """Have all these taken, over several lines at once; some are posted ``twice``."""
        waiting, lock = iter(indexes), threading.Lock()

        def some(line: Line) -> None:
            while (index := _next(waiting, lock)) is not None:
                self.insist(line, index)
                if twice(index):
                    self.insist(line, index)
                    with self._lock:
                        self.repeats += 1

        at_once([lambda: some(Line(self._server))] * lines)


class App:
    """The app of one extension: answers texts."""

    def __init__(self, server: Server, extension: str = EXTENSION) -> None:
        self.bearer = bearer(server, extension)
        self._line = Line(server)

    def call(self, method: str, path: str, **content: Any) -> tuple[int, dict[str, Any]]:
        """One call of the API; ``content`` is its JSON."""
        body = json.dumps(content).encode() if content else b""
        head = {"Authorization": f"Bearer {self.bearer}"}
        return self._line.call(method, f"/api/v1{path}", body, **head)

    def push_at(self, kind: str, **address: Any) -> str:
        """Register where the device is pushed to; returns its id."""
        device = str(self.call("GET", "/me")[1]["device"]["id"])
        status, told = self.call("PUT", f"/devices/{device}", push={"type": kind, **address})
        if status != 200:
            raise Broken(f"the push address was refused: {told}")
        return device

    def reply(self, client_id: str, to: str = "+13035550177", **more: str) -> str:
        """Have a reply taken, with ``more`` in it; returns the id of the message."""
        for _ in range(600):
            status, told = self.call(
                "POST", "/messages", to=to, text=f"reply {client_id}", client_id=client_id, **more
            )
            if 200 <= status < 300:
                return str(told["id"])
            sleep(0.05)
        raise Broken(f"reply {client_id} was never taken: {status}")

    def status(self, message_id: str) -> str:
        """The status of a message; empty without an answer."""
        return str(self.call("GET", f"/messages/{message_id}")[1].get("status", ""))


def at_once(works: list[Callable[[], object]]) -> None:
    """Do everything side by side; raises the first failure."""
    failed: list[BaseException] = []

    def do(work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=do, args=(work,), daemon=True) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]


def rows(storage: Path, statement: str) -> list[Any]:
    """What a query finds in the database of a folder."""
    with closing(sqlite3.connect(storage / "textbridge.db")) as database:
        return database.execute(statement).fetchall()


def integrity(storage: Path) -> str:
    """What SQLite says about the database: ``ok`` where it is whole."""
    return str(rows(storage, "PRAGMA integrity_check")[0][0])


def kept(storage: Path) -> list[int]:
    """The numbers of the texts in the database, as often as each is there; not those that
    ``bench.fill`` made."""
    came = "direction = 'in' AND provider_id NOT LIKE 'old-%'"
    found = rows(storage, f"SELECT provider_id FROM messages WHERE {came}")
    return [int(row[0].removeprefix("1772442904003")) for row in found]


def sent(storage: Path) -> dict[str, str]:
    """The status of every reply in the database, by its text."""
    return dict(rows(storage, "SELECT text, status FROM messages WHERE direction = 'out'"))


def open_jobs(storage: Path, kind: str) -> int:
    """How many jobs of a kind are due or in hand."""
    live = f"SELECT count(*) FROM jobs WHERE kind = '{kind}' AND state IN ('due', 'leased')"
    return int(rows(storage, live)[0][0])


def _next(waiting: Iterator[int], lock: threading.Lock) -> int | None:
    with lock:
        return next(waiting, None)
