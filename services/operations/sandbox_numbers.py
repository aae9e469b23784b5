"""Numbers of the sandbox that are left in Message Settings when a real carrier is configured."""

from collections.abc import Collection

from services.core.commands import flask_command
from services.core.errors import Problem
from services.message_settings import MessageSettings
from services.providers.sandbox import Sandbox


def left_numbers(settings: MessageSettings, carriers: Collection[str]) -> Problem | None:
    """The problem with these numbers, if there are any; ``carriers`` are the names of those on.

    An extension would send from such a number, its default one perhaps, and be refused.
    """
    numbers = [e.number for e in settings.all() if e.enabled and e.carrier == Sandbox.name]
    if not numbers or Sandbox.name in carriers:
        return None
    belong = "belongs" if len(numbers) == 1 else "belong"
    remove = flask_command(f"settings remove {' '.join(numbers)}")
    return Problem(
        "Message Settings",
        f"{', '.join(numbers)} {belong} to the sandbox, which is off: nothing is sent from there.",
        f"Remove what the sandbox has made up: `{remove}`. Give a number of yours its carrier.",
    )
