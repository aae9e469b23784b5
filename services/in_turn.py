"""One after the other to each place, as long as each is quick."""

import threading
import time
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from weakref import WeakValueDictionary

PATIENCE_SECONDS = 0.025


class _Place:
    """Whose turn it is, when somebody last began, and whether whoever ended last took long."""

    def __init__(self) -> None:
        self.turn = threading.Lock()
        self.since = 0.0
        self.slow = False


class InTurn:
    """Lets one at a time through to a place. Where it takes long another goes, and once it has
    taken long all who wait.

    What a killed process had under way is done again by the next: this keeps it to one for each
    place that answers quickly, and one that is slow holds up nobody.
    """

    def __init__(self) -> None:
        self._places: WeakValueDictionary[Hashable, _Place] = WeakValueDictionary()

    @contextmanager
    def at(self, name: Hashable) -> Iterator[None]:
        """Wait for the turn at a place, and give it to the next one afterwards."""
        place = self._places.get(name)
        if place is None:
            place = self._places[name] = _Place()
        mine = _wait(place)
        began = place.since = time.monotonic()
        try:
            yield
        finally:
            place.slow = time.monotonic() - began > PATIENCE_SECONDS
            if mine:
                place.turn.release()


def _wait(place: _Place) -> bool:
    """Wait for the turn; false once it is not worth waiting for."""
    while not place.slow:
        left = place.since + PATIENCE_SECONDS - time.monotonic()
        if place.turn.acquire(timeout=max(left, 0.0)):
            return True
        if left <= 0:
            break
    return False
