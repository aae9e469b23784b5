"""Greetings: whether the new part of an answered mail is nothing else, such as “Hi Ann,”."""

import re

MOST = 80  # characters of a greeting
_GREETINGS = (
    *("hi", "hiya", "hello", "hey", "dear", "greetings", "good (?:morning|day|afternoon|evening)"),
    *("hallo", "hi zusammen", "servus", "moin", "liebe[rs]?", "sehr geehrte[rs]?"),
    *("guten? (?:morgen|tag|abend)", "grüß gott"),
    *("bonjour", "bonsoir", "salut", "coucou", "chère?s?"),
    *("hola", "buen[oa]s(?: (?:días|dias|tardes|noches))?", "estimad[oa]s?", "querid[oa]s?"),
    *("ciao", "buongiorno", "buonasera", "salve", "gentile", "egregi[oa]"),
    *("goede(?:morgen|middag|avond)", "beste", "geachte"),
    *("dzień dobry", "cześć", "dobrý den", "ahoj", "hej", "kære", "hejsan", "goddag"),
)
_NAME = r"(?-i:[A-ZÀ-ÖØ-ÞĀ-Ž])[\w.'’-]*"  # with a capital, unlike the words of an answer
_OTHERS = (
    r"all|everyone|everybody|team|there|both|again|folks|sir|madam|or|and|und|et|y|zusammen|alle"
    r"|an alle|tous|toutes|todos|todas|a todos|à tous|tutti|a tutti|allemaal"
)
_NO_NAME = r"(?:yes|no|ok|okay|ja|nein|oui|non|sí|si|nee|thanks|danke|merci|gracias|i|we)\b"
_GREETING = re.compile(
    rf"(?:{'|'.join(_GREETINGS)})"
    rf"(?:(?: +(?!{_NO_NAME})(?:{_NAME}|{_OTHERS})| *, *(?:{_OTHERS})){{0,5}}[ ,;:.!–—-]*"
    rf"|, *(?!{_NO_NAME}){_NAME}(?: {_NAME})? ?[,:]"  # “Buenos días, Ana:”
    rf"|(?: +(?!{_NO_NAME})[\w.'’-]+){{1,2}} ?,)",  # “hi ann,”
    re.IGNORECASE,
)


def is_greeting(text: str) -> bool:
    r"""Whether a text is a greeting and nothing else, in the languages of usual mail programs.

    A second line is an answer, and so is a word after a comma, unless a comma or colon
    follows it.

    >>> [is_greeting(one) for one in ("Hi,", "Dear Ms. Example", "Hi, Done", "Hi Ann,\nDone")]
    [True, True, False, False]
    """
    lines = text.strip().splitlines()
    if len(lines) != 1:
        return False
    words = " ".join(lines[0].split())
    return len(words) <= MOST and _GREETING.fullmatch(words) is not None
