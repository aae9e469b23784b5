"""Template filters for times, numbers and amounts."""

import time

from flask import Blueprint
from markupsafe import Markup, escape

from services.core import authors
from services.core.authors import with_name
from services.core.byte_size import byte_size
from services.core.commands import flask_command
from services.core.local_time import LocalTime
from services.core.messages import rfc3339
from services.core.phone_numbers import international
from services.message_settings import MessageSettings

STEPS = ((60.0, 1.0, "second"), (3600.0, 60.0, "minute"), (86_400.0, 3600.0, "hour"))


def add_filters(routes: Blueprint, local_time: LocalTime, settings: MessageSettings) -> None:
    """Add these functions to the templates."""
    times = Times(local_time)

    def named(extension: str) -> str:
        """An extension with its name, or an e-mail address, in a list."""
        return with_name(extension, settings.names)

    def author(extension: str) -> str:
        """An extension by its name, or an e-mail address, at the beginning of a sentence."""
        return authors.named(extension, settings.names)

    for word in (
        times.when,
        times.ago,
        named,
        author,
        international,
        byte_size,
        counted,
        flask_command,
        with_commands,
    ):
        routes.app_template_filter(word.__name__)(word)


def with_commands(words: str) -> Markup:
    """Words of which each part between back-ticks, a command or a name, is a code element.

    >>> with_commands("Run `flask status` <now>.")
    Markup('Run <code>flask status</code> &lt;now&gt;.')
    """
    parts = words.split("`")
    if len(parts) % 2 == 0:  # one of them has no partner
        return escape(words)
    shown = (Markup("<code>{}</code>") if at % 2 else Markup("{}") for at in range(len(parts)))
    return Markup("").join(one.format(part) for one, part in zip(shown, parts, strict=True))


class Times:
    """Times for people, in ``APP_TIMEZONE``."""

    def __init__(self, local_time: LocalTime) -> None:
        self._local_time = local_time

    def when(self, seconds: float | None) -> str | Markup:
        """A time (seconds since 1970)."""
        if seconds is None:
            return "never"
        shown = self._local_time.text(seconds)
        return Markup('<time datetime="{}">{}</time>').format(rfc3339(seconds), shown)

    def ago(self, seconds: float | None) -> str | Markup:
        """How long ago something was, with the time of day behind it."""
        if seconds is None:
            return "never"
        shown = f"{lasting(max(0.0, time.time() - seconds))} ago"
        return Markup('<time datetime="{}" title="{}">{}</time>').format(
            rfc3339(seconds), self._local_time.text(seconds), shown
        )


def lasting(seconds: float) -> str:
    """A length of time in its largest unit.

    >>> lasting(1), lasting(150), lasting(90_000)
    ('1 second', '2 minutes', '1 day')
    """
    for below, unit, word in STEPS:
        if seconds < below:
            return counted(int(seconds / unit), word)
    return counted(int(seconds / 86_400), "day")


def counted(count: int, one: str, more: str = "") -> str:
    """A number of things.

    >>> counted(1, "delivery", "deliveries"), counted(1200, "number")
    ('1 delivery', '1,200 numbers')
    """
    return f"{count:,} {one if count == 1 else more or one + 's'}"
