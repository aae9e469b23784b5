"""A service that takes every connection and says nothing, ever."""

import socket
from types import TracebackType

WAITING = 512


class Hole:
    """Listens at ``url``; the kernel takes the connections, and nobody reads what they bring."""

    def __enter__(self) -> "Hole":
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=WAITING)
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
