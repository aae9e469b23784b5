"""Fake system clock for test servers (``LD_PRELOAD``); the check itself has the true time."""

import struct
from pathlib import Path

from torture.shims import build


class WallClock:
    """A clock that a check can set, for servers that are started with ``env``; needs gcc."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        self.ahead = 0  # seconds ahead of the true time
        self._file.write_bytes(struct.pack("=q", 0))
        self.env = {"LD_PRELOAD": str(build("clock", folder)), "CLOCK_FILE": str(self._file)}

    def move_to(self, ahead: int) -> None:
        """Set the clock to this many seconds ahead of the true time; negative: behind it."""
        self.ahead = ahead
        with self._file.open("r+b") as file:
            file.write(struct.pack("=q", ahead))

    def advance(self, seconds: int) -> None:
        """Advance the clock by some seconds."""
        self.move_to(self.ahead + seconds)
