"""Work on pictures: one at a time in a process, in a thread, so that its memory is needed once."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import gevent
from gevent import monkey

T = TypeVar("T")
# A request takes the lock, not the thread that does the work: where gevent has patched
# ``threading``, a thread of the hub's pool must not wait for it.
_ONE_PICTURE = threading.Lock()


@contextmanager
def turn() -> Iterator[None]:
    """Wait until no other picture is worked on; what is done meanwhile uses ``in_thread``."""
    with _ONE_PICTURE:
        yield


def work(picture_work: Callable[[], T]) -> T:
    """Do work on one picture at a time, in a thread."""
    with turn():
        return in_thread(picture_work)


def in_thread(picture_work: Callable[[], T]) -> T:
    """Do work that keeps a processor busy in a thread, so that other requests go on."""
    if not monkey.is_module_patched("threading"):
        return picture_work()
    done: T = gevent.get_hub().threadpool.apply(picture_work)
    return done
