"""Finding misspelt names of variables: similar to one of ours, and not one of another program."""

import difflib
from collections.abc import Iterable, Iterator

from services.core.errors import Problem

SIMILARITY = 0.85  # of difflib: TRUSTED_PROXY is 0.857 like TRUSTED_PROXIES
SHORTEST = 7  # shorter names are similar to too many others
# Names of FS PBX, Laravel and other programs that are similar to one of ours.
OF_OTHERS = {
    "EMAIL_HOST",
    "EMAIL_PASSWORD",
    "EMAIL_PORT",
    "EMAIL_USERNAME",
    "MAIL_FROM",
    "MAIL_USER",
    "PUSHER_HOST",
    "RINGOTEL_URL",
    "TWILIO_SID",
}


def misspelt(present: Iterable[str], declared: Iterable[str]) -> Iterator[Problem]:
    """A problem for each name in ``present`` that is one of ``declared`` with a mistake in it."""
    ours = set(declared) | {f"{name}_FILE" for name in declared}
    for name in sorted(set(present) - ours - OF_OTHERS):
        written = name.upper().replace("-", "_")
        if len(written) < SHORTEST:
            continue
        found = difflib.get_close_matches(written, sorted(ours), n=1, cutoff=SIMILARITY)
        if found:
            remedy = f"Write {found[0]}, or remove the line."
            yield Problem(name, f"is not known and has no effect. Is it {found[0]}?", remedy)
