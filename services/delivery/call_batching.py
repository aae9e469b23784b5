"""Batching of calls: callers that arrive while one call runs share the next one."""

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class _Group(Generic[T]):
    """Items of one shared call, and its result."""

    def __init__(self) -> None:
        self.items: list[T] = []
        self.done = threading.Event()
        self.error: BaseException | None = None


class BatchedCall(Generic[T]):
    """Calls ``do`` once for all items that have gathered when it asks for them."""

    def __init__(self, do: Callable[[Callable[[], Sequence[T]]], object]) -> None:
        self._do = do
        self._next: _Group[T] = _Group()
        self._joining = threading.Lock()

    def __call__(self, item: T) -> None:
        """Returns when the call with this item has returned; raises the call's error."""
        with self._joining:
            group = self._next
            group.items.append(item)
            first = len(group.items) == 1
        if first:
            self._lead(group)
        else:
            group.done.wait()
        if group.error is not None:
            raise group.error

    def _lead(self, group: _Group[T]) -> None:
        try:
            self._do(lambda: self._closed(group))
        except BaseException as error:
            group.error = error
        finally:
            self._closed(group)
            group.done.set()

    def _closed(self, group: _Group[T]) -> Sequence[T]:
        """Items that arrive from now on belong to the next group."""
        with self._joining:
            if self._next is group:
                self._next = _Group()
        return group.items
