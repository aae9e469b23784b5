"""The clock on the wall of the servers of a check; that of the world around them stays true."""

import struct
from pathlib import Path

from torture.shims import build


class WallClock:
    """A clock that can be moved, for the servers that are started with ``env``; needs gcc."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        self.ahead = 0  # seconds
        self._file.write_bytes(struct.pack("=q", 0))
        self.env = {"LD_PRELOAD": str(build("clock", folder)), "CLOCK_FILE": str(self._file)}

    def move_to(self, ahead: int) -> None:
        """Let the clock be so many seconds ahead of the true time; negative: behind it."""
        self.ahead = ahead
        with self._file.open("r+b") as file:
            file.write(struct.pack("=q", ahead))

    def skip(self, seconds: int) -> None:
        """Let so many seconds pass at once."""
        self.move_to(self.ahead + seconds)
