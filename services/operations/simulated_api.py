"""Server that plays the API of a simulated carrier on this machine: takes messages."""

import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Self

from services.providers.simulation import PICTURE, Account, ApiAnswer, ApiRequest, SimulatedCarrier

MOST_BYTES = 50_000_000  # of a body: some carriers have files uploaded
NOT_FOUND = ApiAnswer(404, {"error": "The simulated API does not have this."})


class SimulatedApi:
    """The API of one carrier at an address of this machine, while it is entered.

    ``refuse`` is the code or sentence with which messages are refused; empty: they are accepted.
    ``accepted`` is called with the carrier's id of each message that was taken, ``told`` with a
    line about each request. ``account`` returns what checks of the account find. Raises
    ``OSError`` where the port is in use.
    """

    def __init__(
        self,
        carrier: SimulatedCarrier,
        picture: bytes,
        *,
        port: int = 0,
        refuse: str = "",
        accepted: Callable[[str], None] = lambda carrier_id: None,
        told: Callable[[str], None] = lambda line: None,
        account: Callable[[], Account] = Account,
    ) -> None:
        self._carrier = carrier
        self._picture = picture
        self._refuse = refuse
        self._accepted = accepted
        self._told = told
        self._account = account
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())

    @property
    def address(self) -> str:
        """Its address, without a slash at the end."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request: ApiRequest) -> ApiAnswer:
        """The answer to one request."""
        if request.method == "GET" and request.path.endswith(f"/{PICTURE}"):
            return ApiAnswer(200, self._picture)
        answer = (
            self._carrier.answer(request, self._refuse)
            or self._carrier.check_answer(request, self._account())
            or NOT_FOUND
        )
        self._told(f"{request.method} {request.path}: answered {answer.status}")
        if answer.accepted:
            self._accepted(answer.accepted)
        return answer

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        api = self

        class Handler(BaseHTTPRequestHandler):
            """Reads a request and writes the answer."""

            timeout = 10.0

            def _respond(self) -> None:
                size = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(min(size, MOST_BYTES))
                answer = api.answer(ApiRequest(self.command, self.path, body))
                is_file = isinstance(answer.content, bytes)
                content = (
                    answer.content
                    if isinstance(answer.content, bytes)
                    else json.dumps(answer.content).encode()
                )
                self.send_response(answer.status)
                self.send_header("Content-Type", "image/jpeg" if is_file else "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = _respond

            def log_message(self, *_: object) -> None:
                """Log nothing: addresses may contain a secret."""

        return Handler
