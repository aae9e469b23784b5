"""What every fake server is: it serves from a thread of its own as long as its ``with`` lasts."""

import socketserver
import sys
import threading
from http.server import ThreadingHTTPServer
from typing import Any, Self


class Serving:
    """A fake whose ``_server`` serves between entering and leaving."""

    _server: socketserver.TCPServer

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class QuietServer(ThreadingHTTPServer):
    """A server that says nothing when a caller hangs up, which callers may do at any time."""

    daemon_threads = True
    request_queue_size = 128  # a caller more than these has to wait for seconds

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print what went wrong, unless the caller hung up."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)
