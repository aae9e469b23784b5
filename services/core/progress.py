"""Progress of long work: the call by which the work says how far it is."""

from typing import Protocol


class Progress(Protocol):
    """Called by long work after each step; it must be cheap, as it may be called for each row."""

    def __call__(self, what: str, done: int, total: int | None) -> None:
        """Say how many (``done``) of ``total`` there are of ``what``, in the plural: “messages”.

        ``total`` is ``None`` where nobody knows it. A ``done`` that begins above 0 is what an
        earlier, interrupted run has done. Another ``what`` begins the next part of the work.
        """


def silent(what: str, done: int, total: int | None) -> None:
    """The progress of work that nobody watches."""
