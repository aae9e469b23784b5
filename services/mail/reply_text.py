"""The new part of an answered mail: without quotes, signature and hard line breaks.

The mails that we send begin with ``words.answer_above``: whatever the language, all below it is a
quote. What stands between the answer and that line (“On Monday … wrote:”), and signatures, are
found by mail-parser-reply, in the languages that it knows. Its idea of a signature is corrected
here: it takes every line that begins with a dash or with “Thanks,” for one, with all that follows.
"""

import re
from functools import cached_property
from re import Pattern

from mailparser_reply.constants import MAIL_LANGUAGES, QUOTED_MATCH_INCLUDE
from mailparser_reply.parser import EmailMessage as ParsedMail

from services.mail.greeting import is_greeting
from services.mail.html_text import CUT
from services.mail.words import PREVIEW_MARK, answer_above_pattern

MOST_TEXT = 10_000  # characters of an answer, as of a text of an app
MOST_SEEN = 200_000  # characters in which our line is looked for

LANGUAGES = ["en", "de", "fr", "es", "it", "nl", "pl", "cs", "da", "sv"]
# What mail programs write below a mail and the library does not know.
_SENT_FROM = (
    r"Sent (?:from|via|with) .{1,80}",
    r"Get Outlook for .{1,40}",
    r"Gesendet (?:von|mit|aus|über) .{1,60}",
    r"(?:Diese Nachricht wurde )?von mein(?:em|er)\b.{1,40} gesendet",
    r"Outlook für .{1,20} (?:beziehen|herunterladen)",
    r"Holen Sie sich Outlook für .{1,40}",
    r"Envoyé (?:de(?:puis)?|à partir|avec) .{1,60}",
    r"(?:Obtenir|Obtenez|Télécharger|Téléchargez) Outlook pour .{1,40}",
    r"Enviado (?:desde|con|de) .{1,60}",
    r"(?:Obtener|Obtén|Descargar) Outlook para .{1,40}",
    r"Inviato da .{1,60}",
    r"Scarica Outlook per .{1,40}",
    r"Verzonden (?:vanaf|met) .{1,60}",
    r"(?:Download|Haal) Outlook voor .{1,40}",
    r"Wysłano z .{1,60}",
    r"Odesláno z .{1,60}",
    r"Sendt fra .{1,60}",
    r"Skickat från .{1,60}",
)
# Lines with which a person ends, beside those that the library knows.
_SIGN_OFFS = (
    r"(?:best|kind|warm)(?:est)? (?:regards|wishes)",
    r"regards",
    r"cheers",
    r"sincerely(?: yours)?",
    r"many thanks",
    r"thanks(?: and| &) regards",
    r"(?:beste|liebe|viele|schöne|freundliche|herzliche)n? grüße[n]?(?: aus \w+)?",
    r"mit (?:freundlichen|besten|lieben|herzlichen) grüßen",
    r"(?:mfg|lg|vg|bg)",
    r"(?:bien |très |sincèrement )?cordialement",
    r"(?:bien |meilleures |sincères |cordiales )(?:à (?:vous|toi)|salutations)",
    r"(?:un )?(?:cordial )?saludos?(?: cordial(?:es)?)?",
    r"atentamente",
    r"atte\.?",
)
# … and with which sentences begin as well.
_COURTESIES = re.compile(
    r"thank|many thanks|gracias|muchas gracias|bedankt|dank u|děkuj|tak|på forhånd tak",
    re.IGNORECASE,
)
_MARK = answer_above_pattern()
_QUOTED = re.compile(r"[ \t]*[>|]")
# A line that ends with a colon and has a date or time in it, above a quote.
_DATED = re.compile(r".*\d[./:-]\d.*[:：]\s*", re.DOTALL)
_RULE = re.compile(r"[ \t]*[-_*=]{5,}.*")  # a line above a quote, such as “-----Original …”
# Remarks of people who answer within the quote.
MOST_POINTING = 200  # characters of such a remark
_POINTS_BELOW = re.compile(
    r"\b(?:see|answers?|answered|reply|replies|replied|comments?|responses?)"
    r"(?:\s+(?:my|our|the|are|is|in|it|answers?|comments?|replies|responses?|notes?))*"
    r"\s+(?:below|inline|in-line|in (?:red|blue|green|bold))\b"
    r"|\b(?:siehe|antwort(?:en)?|anmerkungen|kommentare)"
    r"(?:\s+(?:meine|unsere|die|stehen|sind|antwort(?:en)?|anmerkungen|kommentare))*"
    r"\s+(?:unten|inline|im text|in rot|in blau)\b"
    r"|\b(?:voir|réponses?|commentaires?)(?:\s+(?:mes|nos|les|réponses?|commentaires?))*"
    r"\s+(?:ci-dessous|dans le texte|en (?:rouge|bleu))\b"
    r"|\b(?:ver|respuestas?|comentarios?)(?:\s+(?:mis|las?|los|respuestas?|comentarios?))*"
    r"\s+(?:abajo|a continuación|en (?:rojo|azul))\b",
    re.IGNORECASE,
)
_INVISIBLE = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\ufffc\u00ad]")
_WRAPPED_AT = range(60, 80)  # columns at which mail programs break lines
_LONG = re.compile(r"[^\n]{200}(?=[^\n])")  # for longer lines some expressions take minutes
_BROKEN = "\ue0fe\n\ue0fe"  # characters for private use stand where such a line is broken
_BLANK_LINES = re.compile(r"\n[ \t]*\n")
_ITEM = re.compile(r"(?:[-*•]|\d{1,3}[.)])\s")


class _Parsed(ParsedMail):  # type: ignore[misc]  # the library has no types
    """The library's parser, with signatures that end a mail and nothing else.

    A sign-off is a line of its own, and a list with dashes is none.
    """

    @cached_property
    def SIGNATURE_REGEX(self) -> Pattern[str]:
        known = (MAIL_LANGUAGES[language] for language in LANGUAGES)
        written = [sign for each in known for sign in each.get("signatures", ())]
        known_ones = [one.rstrip(",.") for one in written if "\\w" not in one]
        courtesies = "|".join(one for one in known_ones if _COURTESIES.match(one))
        sign_offs = "|".join(
            [*(one for one in known_ones if not _COURTESIES.match(one)), *_SIGN_OFFS]
        )
        certain = "|".join(
            (
                r"(?:--|__)[ ]?",  # the usual delimiter
                r"[-_]{20,}",
                rf"[<*_ ]*(?:{'|'.join(_SENT_FROM)})[>*_ ]*",
            )
        )
        end = r"[ ,.!:)]*$"
        return re.compile(
            rf"^{QUOTED_MATCH_INCLUDE}(?:(?:{certain})$[\s\S]*"
            # No question and no exclamation follows a sign-off, and no sentence follows thanks.
            rf"|(?<!\A)(?:{sign_offs}){end}(?:\n(?![^\n]*[?!]$)[^\n]*){{0,40}}\Z"
            rf"|(?<!\A)(?:{courtesies}){end}(?:\n(?![^\n]*[.?!]$)[^\n]*){{0,40}}\Z)",
            re.MULTILINE | re.IGNORECASE,
        )

    @cached_property
    def DISCLAIMERS_REGEX(self) -> Pattern[str]:
        """None: the library's take minutes for some texts; they stand below the signature."""
        return re.compile(r"(?!)")


def new_part(text: str, own_address: re.Pattern[str]) -> str:
    """The part of a mail's text that its writer has added; may be empty.

    ``own_address`` finds the addresses of ours that a line above a quote names.
    """
    written = text[:MOST_SEEN].replace("\r\n", "\n").replace("\r", "\n").replace("\xa0", " ")
    written = written.replace(PREVIEW_MARK, f"\n{CUT}\n")
    above, is_cut = _above(_INVISIBLE.sub("", written))
    above = _without_attribution(above[: MOST_TEXT + 2_000], own_address, is_cut=is_cut)
    broken = _LONG.sub(lambda line: line[0] + _BROKEN, above)
    first = _Parsed(text=broken, languages=list(LANGUAGES)).read().replies[0]
    if first.headers:  # all of it is a quote
        return ""
    body = _without_quoted_end(first.body.replace(_BROKEN, "").split("\n"))
    return re.sub(r"\n{3,}", "\n\n", _unwrapped(body)).strip()


def has_answer_within(text: str) -> bool:
    """Whether a paragraph stands between two that are quoted, so that a cut would lose it.

    A line that introduces a quote, with a colon at its end, is none.
    """
    lines = text[:MOST_SEEN].replace("\r\n", "\n")
    found = [one.strip() for one in _BLANK_LINES.split(lines) if one.strip()]
    return any(
        before.split("\n")[-1].startswith(">")
        and after.startswith(">")
        and not re.search(r"^>|:\Z", one, re.MULTILINE)
        for before, one, after in zip(found, found[1:], found[2:], strict=False)
    )


def points_below(text: str, new: str) -> bool:
    """Whether a new part says that the answer stands in the quote, which is then not marked.

    Outlook quotes without marks, so what is written there cannot be told from the quote.
    """
    return (
        len(new) <= MOST_POINTING
        and _POINTS_BELOW.search(new) is not None
        and _has_unmarked_quote(text)
    )


def only_greets(text: str, new: str) -> bool:
    """Whether a new part is a greeting, and its answer may stand in or below the quote."""
    return is_greeting(new) and (_has_unmarked_quote(text) or _has_words_below(text))


def _has_unmarked_quote(text: str) -> bool:
    """Whether our mail is quoted without marks: what is added there looks like the quote."""
    found = _MARK.search(text[:MOST_SEEN])
    if found is None:
        return False
    return not _QUOTED.match(text[text.rfind("\n", 0, found.start()) + 1 : found.start()])


def _has_words_below(text: str) -> bool:
    """Whether something stands below a quote with marks."""
    found = _MARK.search(text[:MOST_SEEN])
    lines = text[found.end() : MOST_SEEN].splitlines() if found is not None else []
    return any(line.strip() and not _QUOTED.match(line) for line in lines[1:])


def _above(text: str) -> tuple[str, bool]:
    """What is above our line or above what HTML marks, and whether there is one."""
    ends = [found.start() for found in (_MARK.search(text), re.search(CUT, text)) if found]
    if not ends:
        return text, False
    end = min(ends)
    return text[: text.rfind("\n", 0, end) + 1], True


def _without_attribution(text: str, own_address: re.Pattern[str], *, is_cut: bool) -> str:
    """The text without the lines that introduce the quote below it, in whatever language."""
    lines = text.split("\n")
    if not is_cut:
        return text
    while lines and (not lines[-1].strip() or _QUOTED.match(lines[-1]) or _RULE.match(lines[-1])):
        lines.pop()
    begin = len(lines)  # of the last paragraph
    while begin and lines[begin - 1].strip():
        begin -= 1
    naming = [at for at in range(begin, len(lines)) if own_address.search(lines[at])]
    if lines and not naming and len(lines[-1]) < 200 and _DATED.fullmatch(lines[-1]):
        lines.pop()
    if naming:
        at = naming[0]
        while at > begin and not lines[at - 1].rstrip().endswith((".", "!", "?")):
            at -= 1
        lines = lines[:at]
    return "\n".join(lines)


def _without_quoted_end(lines: list[str]) -> list[str]:
    while lines and (not lines[-1].strip() or lines[-1].lstrip().startswith(">")):
        lines.pop()
    return lines


def _unwrapped(lines: list[str]) -> str:
    """Lines that a mail program has broken at its right margin, joined again."""
    joined: list[str] = []
    previous = ""
    for line in lines:
        first_word = line.split(" ", 1)[0]
        was_broken = (
            len(previous) in _WRAPPED_AT
            and line.strip() != ""
            and len(previous) + 1 + len(first_word) > _WRAPPED_AT[-1] - 9
            and not _ITEM.match(line)
        )
        if was_broken:
            joined[-1] = f"{joined[-1]} {line}"
        else:
            joined.append(line)
        previous = line
    return "\n".join(joined)
