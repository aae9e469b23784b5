"""Finding misspelt names of variables: similar to one of ours, and not one of another program."""

import difflib
import re
from collections.abc import Iterable, Iterator

from services.core.errors import Problem

SIMILARITY = 0.85  # of difflib: TRUSTED_PROXY is 0.857 like TRUSTED_PROXIES
SHORTEST = 7  # shorter names are similar to too many others
LETS_IN = {"ALLOW", "PROXY"}  # words of the variables that let nobody else in
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
        similar = difflib.get_close_matches(written, sorted(ours), n=1, cutoff=SIMILARITY)
        similar = similar or [
            name for name in sorted(ours) if _says_the_same(_words(written), name)
        ]
        if similar:
            remedy = f"Write {similar[0]}, or remove the line."
            yield Problem(name, f"is not known and has no effect. Is it {similar[0]}?", remedy)


def _says_the_same(words: frozenset[str], name: str) -> bool:
    """Whether words are those of a name in another order or number.

    Of names that say who is let in, one word more or less is enough.
    """
    differ = words ^ _words(name)
    return not differ or (len(words) > 1 and len(differ) == 1 and bool(words & LETS_IN - differ))


def _words(name: str) -> frozenset[str]:
    """The words of a name in the singular."""
    parts = (part.replace("ALLOWLIST", "ALLOW") for part in name.split("_"))
    return frozenset(re.sub(r"IES$", "Y", part).removesuffix("S") for part in parts if part)
