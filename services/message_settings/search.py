"""Finding numbers in Message Settings by anything that is written about them."""

import re
from collections.abc import Iterable

from services.message_settings.document import NumberSetting
from services.message_settings.typed import texts

LIKE_A_NUMBER = re.compile(r"[0-9 ()+./-]*[0-9][0-9 ()+./-]*", re.ASCII)


def found(entries: Iterable[NumberSetting], words: str) -> list[NumberSetting]:
    """The entries in which all the words stand, or in whose number these digits follow each other.

    Small letters are as good as capitals. Nothing looked for finds everything.
    """
    sought = words.casefold().split()
    digits = re.sub("[^0-9]", "", words) if LIKE_A_NUMBER.fullmatch(words) else ""
    return [entry for entry in entries if _fits(entry, sought, digits)]


def _fits(entry: NumberSetting, sought: list[str], digits: str) -> bool:
    if digits and digits in entry.number:
        return True
    known = texts(entry) | {"enabled": ""} if sought else {}
    written = " ".join(known.values()).casefold()
    return all(word in written for word in sought)
