"""Numbers of the sandbox that are left in Message Settings when a real carrier is configured."""

from collections.abc import Collection, Iterable

from services.core.commands import flask_command
from services.core.errors import Problem
from services.message_settings import NumberSetting
from services.providers.sandbox import Sandbox


def left_numbers(entries: Iterable[NumberSetting], carriers: Collection[str]) -> Problem | None:
    """The problem with these numbers, if there are any.

    ``entries`` are those of enabled numbers, ``carriers`` the names of the carriers that are on.
    An extension would send from such a number, its default one perhaps, and be refused.
    """
    numbers = [entry.number for entry in entries if entry.carrier == Sandbox.name]
    if not numbers or Sandbox.name in carriers:
        return None
    belong = "belongs" if len(numbers) == 1 else "belong"
    remove = flask_command(f"settings remove {' '.join(numbers)}")
    return Problem(
        "Message Settings",
        f"{', '.join(numbers)} {belong} to the sandbox, which is off: nothing is sent from there.",
        f"Remove what the sandbox has made up: `{remove}`. Give a number of yours its carrier.",
    )
