"""Several who want the same done at the same moment have it done once, for all of them."""

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class _Group(Generic[T]):
    """Those who are served by the same call, and what came of it."""

    def __init__(self) -> None:
        self.items: list[T] = []
        self.done = threading.Event()
        self.error: BaseException | None = None


class BatchedCall(Generic[T]):
    """Calls ``do`` for all who have gathered until it asks who they are."""

    def __init__(self, do: Callable[[Callable[[], Sequence[T]]], object]) -> None:
        self._do = do
        self._next: _Group[T] = _Group()
        self._joining = threading.Lock()

    def __call__(self, item: T) -> None:
        """Returns when a call with this item has returned; raises what it raised."""
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
        """Whoever comes from now on belongs to the next group."""
        with self._joining:
            if self._next is group:
                self._next = _Group()
        return group.items
