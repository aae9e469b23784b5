"""Keywords of text messages: STOP, START, HELP and their kin, and softer wordings of STOP.

The words are those of 47 CFR 64.1200(a)(10) and of CTIA's Messaging Principles, with the French
ones of Canadian carriers. Only a text that consists of nothing else is a keyword; the signature of
a phone below it (“Sent from my iPhone”) does not count.
"""

import re
import unicodedata
from enum import StrEnum

from services.core.reactions import parse_reaction


class Keyword(StrEnum):
    """What a text asks for."""

    STOP = "stop"
    START = "start"
    YES = "yes"  # the same as START, but only from a person who has opted out
    HELP = "help"


STOP_WORDS = frozenset(
    {
        *("stop", "stopall", "stop all", "unsubscribe", "cancel", "end", "quit", "revoke"),
        *("optout", "opt out", "remove", "arret"),
    }
)
START_WORDS = frozenset({"start", "unstop"})
HELP_WORDS = frozenset({"help", "info", "aide"})
_KEYWORDS = {
    **dict.fromkeys(STOP_WORDS, Keyword.STOP),
    **dict.fromkeys(START_WORDS, Keyword.START),
    **dict.fromkeys(HELP_WORDS, Keyword.HELP),
    "yes": Keyword.YES,
}
_MOST = 200  # characters of a text that may be a keyword: more of them are not even looked at

_TEXTING = r"(?:text|messag|contact|writ|send)(?:e|s|t|ing|es|ed)?"
_SOFT = re.compile(
    "|".join(
        (
            rf"\b(?:stop|quit|cease)\b.{{0,20}}\b{_TEXTING}\b",
            rf"\b(?:do not|dont|don t|never|no longer|no more)\b.{{0,12}}\b{_TEXTING}\b",
            r"\bno more (?:texts|messages|sms)\b",
            r"\b(?:unsubscribe|opt me out|opt out|optout)\b",
            r"\b(?:remove|take|delete)\b.{0,12}\b(?:me|my number|my name|my phone)\b.{0,20}"
            r"\b(?:list|system|database|texts|messages|off)\b",
            r"\bremove my number\b",
            r"\b(?:please|pls|plz|just|now) stop\b",
            r"\bstop (?:please|pls|plz|it|this|that|now|already)\b",
            r"\bleave me alone\b",
            r"\blose my number\b",
            r"\bwrong number\b.{0,40}\bstop\b",
            r"\b(?:arretez|cessez)\b.{0,30}\b(?:message|messages|texto|textos|sms|ecrire)\b",
        )
    )
)
_SOFT_MOST = 1000  # characters that are searched
_SIGNS = frozenset("🛑⛔")
_ALONE = frozenset({"s t o p", "alto", "stop stop", "stop stop stop"})
# What phones and apps put below a text, in a line of its own: English, Spanish, French, German.
_SIGNATURE_WORDS = (
    r"(?:sent (?:from|by|via|using) (?:my |the |an? )?|enviado (?:desde|con|por|de) (?:mi |el )?"
    r"|envoy[eé] (?:de|depuis|avec|par|à partir de) (?:mon |ma |l[’'] ?)?"
    r"|(?:von meine[mr] .{1,40} |mit .{1,40} )(?:gesendet|gesandt|verschickt)"
    r"|gesendet (?:von|mit|über) (?:meine[mr] )?|get outlook for |obtener outlook para )"
)
_SIGNATURE = re.compile(rf"\s*(?:-- ?)?\s*{_SIGNATURE_WORDS}.{{0,80}}", re.IGNORECASE)
_ENDS_WITH_SIGNATURE = re.compile(
    rf"(?s)(.*?)[\s.,;:!–—-]+{_SIGNATURE_WORDS}.{{0,80}}", re.IGNORECASE
)
_PUNCTUATION = re.compile(r"[^\w\s]+|_+")
_NO_WORDS = re.compile(r"[^\w\s]+")


def normalised(text: str) -> str:
    """A text as it is compared with keywords: no case, accents, punctuation or further spaces.

    >>> normalised("  “Stop-All!” "), normalised("OPT-OUT"), normalised("Arrêt.")
    ('stopall', 'optout', 'arret')
    """
    spread = unicodedata.normalize("NFKD", text.casefold())
    return " ".join(_PUNCTUATION.sub("", spread).split())


def keyword_words(text: str) -> str:
    r"""The ``normalised`` text without the signature of a phone in the lines below it.

    >>> keyword_words("STOP\n\nSent from my iPhone"), keyword_words("Sent from my iPhone")
    ('stop', 'sent from my iphone')
    """
    first, *below = [line for line in text.splitlines() if line.strip()] or [""]
    if below and below[0].strip() == "--":
        below = below[1:]
    is_signed = bool(below) and all(map(_SIGNATURE.fullmatch, below))
    return normalised(first if is_signed else text)


def keyword(text: str) -> Keyword | None:
    """The keyword that a text is as a whole, or ``None``.

    >>> keyword("Stop."), keyword("please stop"), keyword("Liked “STOP”")
    (<Keyword.STOP: 'stop'>, None, None)
    """
    return _KEYWORDS.get(keyword_words(text)) if len(text) <= _MOST else None


def is_soft_stop(text: str) -> bool:
    """Whether a person would probably understand that the writer wants no more texts.

    It is a guess, and only a person may act on it. English, some French and Spanish, and signs.

    >>> is_soft_stop("Please stop texting me"), is_soft_stop("We stop at 5"), is_soft_stop("STOP")
    (True, False, False)
    """
    if keyword(text) is not None or parse_reaction(text) is not None:
        return False
    if len(text) <= _MOST and _is_disguised_stop(text):
        return True
    spread = unicodedata.normalize("NFKD", text[:_SOFT_MOST].casefold())
    if not spread.isascii():
        spread = "".join(c for c in spread if not unicodedata.combining(c))
    words = _NO_WORDS.sub(" ", spread)
    return _SOFT.search(" ".join(words.split())) is not None


def _is_disguised_stop(text: str) -> bool:
    """Whether a short text is STOP spaced out, a sign, in Spanish, or before a signature."""
    words = keyword_words(text)
    if words in _ALONE:
        return True
    signed = _ENDS_WITH_SIGNATURE.fullmatch(text)
    if signed is not None and _KEYWORDS.get(normalised(signed[1])) is Keyword.STOP:
        return True
    return not words and any(character in _SIGNS for character in text)
