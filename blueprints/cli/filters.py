"""Filter options shared by the commands that list or export messages."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from blueprints.cli.parts import parts
from services.operations import message_query
from services.providers import NAMES

WHEN = "a day or a time in APP_TIMEZONE: 2026-11-20 or 2026-11-20T08:30."
OPTIONS = (
    click.option("--number", default="", help="Only of this number of yours."),
    click.option("--peer", default="", help="Only with this number of somebody else."),
    click.option("--either", default="", help="Only with this number, yours or somebody else's."),
    click.option(
        "--text", default="", help="Only with these words; the last may be the beginning of one."
    ),
    click.option(
        "--extension", default="", help="Only what this extension has sent, or gets by now."
    ),
    click.option(
        "--status",
        "state",
        type=click.Choice(message_query.STATES),
        help="Only in this state.",
    ),
    click.option(
        "--direction",
        type=click.Choice(["in", "out"]),
        help="Only what came in, or what went out.",
    ),
    click.option(
        "--carrier",
        type=click.Choice(list(NAMES)),
        callback=lambda _, __, written: NAMES.get(written, written),
        metavar="CARRIER",
        help="Only by this carrier.",
    ),
    click.option("--since", default="", help=f"Only from then on: {WHEN}"),
    click.option("--until", default="", help="Only up to then, a day as a whole."),
)


def filter_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add the filter options to a command, which gets a ``MessageFilter`` as ``wanted``."""

    @wraps(function)
    def command(**given: Any) -> None:
        given_fields = {name: given.pop(name) or "" for name in message_query.FIELDS}
        function(wanted=parts().message_query.parse(given_fields), **given)

    for option in reversed(OPTIONS):
        command = option(command)
    return command
