"""``in_slices``: long loops that let the other threads of the process run in between.

The threads of a web process are greenlets: one of them that computes for a second would let every
webhook wait as long.
"""

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
SLICE = 250  # entries; checking so many takes some ten milliseconds at most


def in_slices(items: Iterable[T]) -> Iterator[T]:
    """The items; other threads run after each ``SLICE`` of them."""
    for position, item in enumerate(items, 1):
        yield item
        if position % SLICE == 0:
            time.sleep(0)
