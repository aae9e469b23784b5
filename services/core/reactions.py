"""Reactions as texts: what phones send by SMS for a “like” of a message (iMessage, RCS).

The forms are those of the English apps: iOS writes “Liked “…””, since iOS 18 also “Reacted 👍 to
“…””; Google Messages writes “👍 to “…””, with invisible spaces around the parts.
"""

import re
from dataclasses import dataclass

_WORDS = {
    "Liked": "👍",
    "Loved": "❤️",
    "Disliked": "👎",
    "Laughed at": "😂",
    "Emphasized": "‼️",
    "Emphasised": "‼️",
    "Questioned": "❓",
}
_REMOVED = ("a like", "a heart", "a dislike", "a laugh", "an exclamation", "a question mark")
# An emoji begins outside ASCII, unless it is a key (1️⃣).
_EMOJI = r"(?P<emoji>[^\w\s\x00-\x7f“”][^\w\s“”]{0,23}|[0-9#*]\ufe0f?\u20e3)"
_TAKEN_BACK = rf"Removed (?:{'|'.join(_REMOVED)}|\S{{1,24}}) from"
_QUOTED = '[“"](?P<quoted>.+)[”"]'
_REACTION = re.compile(
    rf"(?:(?P<word>{'|'.join(_WORDS)})|(?P<removed>{_TAKEN_BACK})|(?:Reacted )?{_EMOJI} to)"
    rf" {_QUOTED}",
    re.DOTALL,
)
# Zero-width and hair spaces, which Google Messages puts around emoji and quotation; the joiner
# (U+200D) is a part of emoji.
_INVISIBLE = re.compile("[\u200a\u200b\u200c\u2060\ufeff]")
_CUT = ("…", "...")


@dataclass(frozen=True, slots=True)
class Reaction:
    """An emoji for another message, of which the text is known; an empty one is taken back."""

    emoji: str
    quoted: str

    def fits(self, text: str) -> bool:
        """Whether it quotes this text; a long one may be quoted by its beginning."""
        shown, quoted = _plain(text), _plain(self.quoted)
        for cut in _CUT:
            if quoted.endswith(cut) and quoted != cut:
                beginning = quoted.removesuffix(cut).rstrip()
                return shown == quoted or (bool(beginning) and shown.startswith(beginning))
        return bool(shown) and shown == quoted


def parse_reaction(text: str) -> Reaction | None:
    """The reaction that a text is, or ``None``.

    >>> parse_reaction("Liked “See you at 8”")
    Reaction(emoji='👍', quoted='See you at 8')
    >>> parse_reaction("Removed a heart from “Hi”"), parse_reaction("Liked it")
    (Reaction(emoji='', quoted='Hi'), None)
    """
    if "”" not in text and '"' not in text:
        return None
    found = _REACTION.fullmatch(_plain(text))
    if found is None:
        return None
    emoji = "" if found["removed"] else found["emoji"] or _WORDS[found["word"]]
    return Reaction(emoji, found["quoted"])


def _plain(text: str) -> str:
    return " ".join(_INVISIBLE.sub("", text).split())
