"""Inbound rules that can never decide, as an earlier rule ends with every text that they match.

Only plain cases are found: an earlier rule with no, the same or wider conditions. Several rules
that match everything together are not.
"""

from collections.abc import Iterator, Sequence

from services.message_settings.address_masks import fits_any
from services.message_settings.rules import InboundRule, begins_with

_ONE = "\N{REPLACEMENT CHARACTER}"  # a character that stands in no mask
_LONG = 200 * _ONE  # longer than a mask


def never_deciding(rules: Sequence[InboundRule]) -> Iterator[tuple[InboundRule, InboundRule]]:
    """Each rule that can never decide, with the earlier rule that decides in its place."""
    ending: dict[str, list[tuple[int, InboundRule]]] = {}  # by number; "": any number
    for position, rule in enumerate(rules):
        own = ending.get(rule.to[0], []) if rule.to else []
        earlier = sorted((*ending.get("", []), *own), key=lambda one: one[0])
        found = next((one for _, one in earlier if _covers(one, rule)), None)
        if found is not None:
            yield rule, found
        elif not rule.continues:
            for number in rule.to or ("",):
                ending.setdefault(number, []).append((position, rule))


def _covers(wide: InboundRule, rule: InboundRule) -> bool:
    """Whether every text that matches a rule matches the wide one."""
    return (
        (not wide.to or (bool(rule.to) and set(rule.to) <= set(wide.to)))
        and (wide.when is None or wide.when == rule.when)
        and (not wide.keywords or _all_begin(rule.keywords, wide.keywords))
        and (not wide.senders or _all_fit(rule.senders, wide.senders))
    )


def _all_begin(keywords: Sequence[str], wide: Sequence[str]) -> bool:
    return bool(keywords) and all(begins_with(wide, keyword) for keyword in keywords)


def _all_fit(masks: Sequence[str], wide: Sequence[str]) -> bool:
    """Whether every address that fits one of the masks fits one of the wide ones.

    A ``*`` of a mask is tried as no character and as many.
    """
    return bool(masks) and all(any(_is_wider(one, mask) for one in wide) for mask in masks)


def _is_wider(wide: str, mask: str) -> bool:
    one = mask.replace("?", _ONE)
    return all(fits_any([wide], one.replace("*", filling)) for filling in ("", _LONG))
