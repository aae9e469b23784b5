"""Words of mails and notifications in a language: whole sentences, looked up in its catalogue.

The English sentence is the key. ``make words`` writes the catalogues, ``words_<language>.json``,
from ``locales/`` (docs/languages.md).
"""

import json
from pathlib import Path

LANGUAGES = ("en", "es", "fr-CA", "de")  # tags of RFC 5646; English needs no catalogue

FOLDER = Path(__file__).parent


def sentence(words: str) -> str:
    """Mark a sentence for the catalogues that is translated where it is used."""
    return words


class Language:
    """One of the languages; values are put in for names in braces."""

    def __init__(self, tag: str = "en") -> None:
        """``tag`` is one of ``LANGUAGES``."""
        self.tag = tag
        self._catalogue: dict[str, str | dict[str, str]] = {}
        if tag != "en":
            path = FOLDER / f"words_{tag}.json"
            self._catalogue = json.loads(path.read_text(encoding="utf-8"))

    def has(self, text: str) -> bool:
        """Whether the catalogue has this sentence."""
        return isinstance(self._catalogue.get(text), str)

    def t(self, text: str, /, **values: object) -> str:
        """A sentence in this language; in English if the catalogue does not have it.

        >>> Language().t("Your text to {name}", name="Ann")
        'Your text to Ann'
        """
        found = self._catalogue.get(text, text)
        return _filled(found if isinstance(found, str) else text, values)

    def many(self, count: int, one: str, other: str, /, **values: object) -> str:
        """The form of a sentence for a number.

        >>> Language().many(2, "a picture", "{count} pictures")
        '2 pictures'
        """
        is_one = count in (0, 1) if self.tag == "fr-CA" else count == 1  # Unicode CLDR
        forms = self._catalogue.get(other)
        if isinstance(forms, dict):
            text = forms["one" if is_one else "other"]
        else:
            text = one if count == 1 else other
        return _filled(text, {"count": count} | values)


def _filled(text: str, values: dict[str, object]) -> str:
    """A sentence with its values; a value is never looked into."""
    parts = text.split("{")
    filled = [parts[0]]
    for part in parts[1:]:
        name, brace, rest = part.partition("}")
        known = brace and name in values
        filled.append(f"{values[name]}{rest}" if known else "{" + part)
    return "".join(filled)
