"""Mails that no person wrote: automatic answers, reports, lists (RFC 3834, RFC 3464, RFC 2919).

They are never texted and never answered.
"""

import re
from collections.abc import Callable
from email.errors import MessageError
from email.header import decode_header, make_header

MOST_CHARACTERS = 200
# Headers that no person's mail has, whatever is in them.
_PRESENT = (
    "List-Id",
    "X-Autoreply",
    "X-Autorespond",
    "X-Autoresponse",
    "X-Mail-Autoreply",
    "X-Auto-Reply-From",
    "X-Failed-Recipients",
    "X-MS-Exchange-Generated-Message-Source",
    "X-MS-Exchange-Inbox-Rules-Loop",
)
_PRECEDENCES = {"bulk", "list", "junk", "auto_reply"}
_COMMENT = re.compile(r"\([^()]*\)")
# How out-of-office replies without any of these headers begin. An answer of a person has “Re:”.
_SUBJECTS = re.compile(
    r"\s*(?:auto(?:matic)?[- ]?(?:reply|response)|out of (?:the )?office|automatische antwort"
    r"|abwesenheits|réponse automatique|absence du bureau|respuesta automática|fuera de la oficina"
    r"|risposta automatica|fuori sede|automatisch antwoord|afwezigheid|autoodpowiedź"
    r"|odpowiedź automatyczna|automatická odpověď|automatisk svar|autosvar)",
    re.IGNORECASE,
)
_ROBOTS = {"mailer-daemon", "postmaster", "noreply", "no-reply", "do-not-reply", "donotreply"}
_REPORTS = {"multipart/report", "message/delivery-status", "message/disposition-notification"}


def why_automatic(header: Callable[[str], str | None], content_type: str, sender: str) -> str:
    """Which sign says that a mail is automatic; empty where none does.

    ``header`` returns the value of a header, or ``None``; ``sender`` is the address of ``From``.
    """
    submitted = _COMMENT.sub(" ", header("Auto-Submitted") or "").partition(";")[0]
    if submitted.strip().casefold() not in ("", "no"):
        return "Auto-Submitted"
    if (header("Precedence") or "").strip().casefold() in _PRECEDENCES:
        return "Precedence"
    returns_to = header("Return-Path")
    if returns_to is not None and not returns_to.strip().strip("<>").strip():
        return "Return-Path"
    if content_type.casefold() in _REPORTS:
        return content_type.casefold()
    if sender.partition("@")[0].casefold() in _ROBOTS:
        return "From"
    is_reply = _SUBJECTS.match(_decoded(header("Subject") or ""))
    found = [name for name in _PRESENT if header(name) is not None]
    return "Subject" if is_reply else next(iter(found), "")


def _decoded(value: str) -> str:
    """A header as a person reads it (RFC 2047)."""
    try:
        return str(make_header(decode_header(value[:500])))
    except (MessageError, LookupError, ValueError):
        return value
