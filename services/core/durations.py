"""Durations: lengths in seconds, and a duration in words such as "2 minutes"."""

import math

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0


def in_words(seconds: float) -> str:
    """A duration in the largest unit that fits, rounded up.

    >>> in_words(0.5), in_words(89), in_words(91), in_words(86_400)
    ('1 second', '89 seconds', '2 minutes', '24 hours')
    """
    for size, unit in ((HOUR, "hour"), (MINUTE, "minute"), (1.0, "second")):
        if seconds > 1.5 * size or unit == "second":
            break
    count = max(1, math.ceil(seconds / size))
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
