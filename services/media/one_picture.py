"""Work on pictures: one at a time in a process, in a thread, so that its memory is needed once."""

import threading
from collections.abc import Callable
from typing import TypeVar

import gevent
from gevent import monkey

T = TypeVar("T")
# A request takes the lock, not the thread that does the work: where gevent has patched
# ``threading``, a thread of the hub's pool must not wait for it.
_ONE_PICTURE = threading.Lock()


def work(picture_work: Callable[[], T]) -> T:
    """Do work on one picture at a time, in a thread, so that other requests go on."""
    with _ONE_PICTURE:
        return _in_thread(picture_work)


def _in_thread(picture_work: Callable[[], T]) -> T:
    if not monkey.is_module_patched("threading"):
        return picture_work()
    done: T = gevent.get_hub().threadpool.apply(picture_work)
    return done
