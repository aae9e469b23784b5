"""TCP server that accepts every connection and never answers."""

import socket
from types import TracebackType

BACKLOG = 512


class SilentServer:
    """Listens at ``url``; the kernel accepts the connections, and no data is ever read."""

    def __enter__(self) -> "SilentServer":
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
        self.port = int(self._socket.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.close()
