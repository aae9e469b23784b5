"""``in_slices``: long loops that let the other threads of the process run in between.

The threads of a web process are greenlets: one of them that computes for a second would let every
webhook wait as long.
"""

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
SLICE = 400  # entries that are checked or formatted, which takes 5 to 40 µs each
CHEAP_SLICE = 10 * SLICE  # … that are only looked up
# Not 0: a webhook takes several rounds of the event loop, and would wait for a slice in each.
PAUSE_SECONDS = 0.001


def in_slices(items: Iterable[T], size: int = SLICE) -> Iterator[T]:
    """The items; other threads run after each ``size`` of them."""
    for position, item in enumerate(items, 1):
        yield item
        let_others_run(position, size)


def let_others_run(done: int, size: int = SLICE) -> None:
    """Let other threads run if ``done``, the number of items so far, fills another slice."""
    if done % size == 0:
        time.sleep(PAUSE_SECONDS)
