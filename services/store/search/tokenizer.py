"""Tokenizer: splits texts and search queries into normalised words, alike on every database."""

import re
import unicodedata
from dataclasses import dataclass

MAX_WORD_LENGTH = 64  # longer words are cut; PostgreSQL indexes words of at most 2 kB

_ASCII = re.compile("[a-z0-9]+")

# Scripts without spaces between words: Thai to Tibetan, Burmese, Khmer, Chinese and Japanese.
_UNSPACED = re.compile(
    "[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u2e80-\u312f\u3190-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff]"
)


class _CharacterTable(dict[int, str]):
    """A table for ``str.translate`` that normalises characters; filled as they occur."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        self[code] = normal = self._normalise(character, unicodedata.category(character))
        return normal

    def _normalise(self, character: str, category: str) -> str:
        if _is_ignored(character, category):
            return ""
        if category[0] not in "LNM":
            return " "
        return f" {character} " if _UNSPACED.match(character) else character


def _is_ignored(character: str, category: str) -> bool:
    """Whether it is an accent, a vowel point, a joiner or the variant of an emoji."""
    variant = unicodedata.name(character, "").startswith("VARIATION SELECTOR")
    return bool(unicodedata.combining(character)) or category in ("Cf", "Me") or variant


_CHARACTERS = _CharacterTable()


def words_of(text: str) -> list[str]:
    r"""The words of a text in their order, without case and accents.

    Each character of a script without spaces between words is a word.

    >>> words_of("Straße, ÉTÉ & co: 你好 \x00 👍🏽")
    ['strasse', 'ete', 'co', '你', '好']
    """
    if text.isascii():
        found = _ASCII.findall(text.lower())
    else:
        found = unicodedata.normalize("NFKD", text).casefold().translate(_CHARACTERS).split()
    return [word[:MAX_WORD_LENGTH] for word in found]


@dataclass(frozen=True, slots=True)
class Query:
    """A search query: all of ``words``, and a word that begins with ``prefix``.

    ``prefix`` is the last word, which may be unfinished. It is empty for an empty query.
    """

    words: tuple[str, ...]
    prefix: str

    def matches(self, text: str) -> bool:
        """Whether a text contains all the words."""
        found = set(words_of(text))
        return found.issuperset(self.words) and any(word.startswith(self.prefix) for word in found)


def parse_query(typed: str) -> Query:
    """The search query that a user has typed.

    >>> parse_query("see you tom")
    Query(words=('see', 'you'), prefix='tom')
    """
    *words, prefix = words_of(typed) or [""]
    return Query(tuple(dict.fromkeys(words)), prefix)
