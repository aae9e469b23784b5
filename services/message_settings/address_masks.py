"""Masks for addresses and extensions in rules: ``*`` stands for any characters, ``?`` for one."""

import re
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase

from services.core.phone_numbers import without_channel

_WILDCARD = re.compile(r"[*?]")
_RANGE = re.compile(r"([0-9]{1,9})-([0-9]{1,9})", re.ASCII)


def normalised_mask(mask: str, address: Callable[[str], str]) -> str:
    """A mask as it is compared: a whole address as it is kept, everything without case.

    ``address`` returns the address that a person has typed, as senders are kept.
    """
    return (mask if _WILDCARD.search(mask) else address(mask)).casefold()


def before_wildcard(mask: str) -> str:
    """The part of a mask before its first wildcard."""
    return _WILDCARD.split(mask, maxsplit=1)[0]


def fits_any(masks: Iterable[str], address: str) -> bool:
    """Whether an address fits a normalised mask, with or without its channel (``whatsapp:``)."""
    plain = address.casefold()
    names = {plain, without_channel(plain)}
    return any(_fits(mask, name) for mask in masks for name in names)


def is_backward_range(mask: str) -> bool:
    """Whether a mask is a range in which no extension is.

    >>> is_backward_range("210-201"), is_backward_range("201-1000"), is_backward_range("201-210")
    (True, True, False)
    """
    found = _RANGE.fullmatch(mask)
    return found is not None and (len(found[1]) != len(found[2]) or found[1] > found[2])


def extension_fits(mask: str, extension: str) -> bool:
    """Whether an extension fits a mask, or is in a range such as ``201-220``."""
    found = _RANGE.fullmatch(mask)
    if found and extension.isascii() and extension.isdigit():
        same_length = len(found[1]) == len(extension) == len(found[2])
        return same_length and found[1] <= extension <= found[2]
    return _fits(mask.casefold(), extension.casefold())


def _fits(mask: str, text: str) -> bool:
    if not _WILDCARD.search(mask):
        return mask == text
    return fnmatchcase(text, mask.replace("[", "[[]"))  # a bracket stands for itself
