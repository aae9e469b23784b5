"""What counts as a word: the same in every text, in every search and on every database."""

import re
import unicodedata
from dataclasses import dataclass

LONGEST = 64  # characters of a word that count; PostgreSQL's index takes at most 2 kB

_ASCII = re.compile("[a-z0-9]+")

# Scripts that put no spaces between words: Thai to Tibetan, Burmese, Khmer, Chinese and Japanese.
_UNSPACED = re.compile(
    "[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u2e80-\u312f\u3190-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff]"
)


class _Folding(dict[int, str]):
    """For ``str.translate``: what each character becomes, made when it is first met."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        self[code] = folded = self._fold(character, unicodedata.category(character))
        return folded

    def _fold(self, character: str, category: str) -> str:
        if _is_unseen(character, category):
            return ""
        if category[0] not in "LNM":
            return " "
        return f" {character} " if _UNSPACED.match(character) else character


def _is_unseen(character: str, category: str) -> bool:
    """Accents and vowel points (the text is decomposed), joiners, variants of emoji."""
    variant = unicodedata.name(character, "").startswith("VARIATION SELECTOR")
    return bool(unicodedata.combining(character)) or category in ("Cf", "Me") or variant


_FOLDING = _Folding()


def words_of(text: str) -> list[str]:
    """The words of a text in their order, without case and accents.

    Each character of a script that puts no spaces between words is a word.

    >>> words_of("Straße, ÉTÉ & co: 你好 \\x00 👍🏽")
    ['strasse', 'ete', 'co', '你', '好']
    """
    if text.isascii():
        found = _ASCII.findall(text.lower())
    else:
        found = unicodedata.normalize("NFKD", text).casefold().translate(_FOLDING).split()
    return [word[:LONGEST] for word in found]


@dataclass(frozen=True, slots=True)
class Sought:
    """What somebody looks for: all of ``words``, and a word with this ``beginning``.

    The last word that was typed is perhaps not finished. It is empty where nothing was typed.
    """

    words: tuple[str, ...]
    beginning: str

    def is_in(self, text: str) -> bool:
        """Whether a text has all of it."""
        there = set(words_of(text))
        return there.issuperset(self.words) and any(
            word.startswith(self.beginning) for word in there
        )


def sought(typed: str) -> Sought:
    """What somebody looks for who typed this.

    >>> sought("see you tom")
    Sought(words=('see', 'you'), beginning='tom')
    """
    *words, beginning = words_of(typed) or [""]
    return Sought(tuple(dict.fromkeys(words)), beginning)
