"""Mails that no person wrote: automatic answers, reports, lists (RFC 3834, RFC 3464, RFC 2919).

They are never texted and never answered.
"""

from collections.abc import Callable

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
_ROBOTS = {"mailer-daemon", "postmaster", "noreply", "no-reply", "do-not-reply", "donotreply"}
_REPORTS = {"multipart/report", "message/delivery-status", "message/disposition-notification"}


def why_automatic(header: Callable[[str], str | None], content_type: str, sender: str) -> str:
    """Which sign says that a mail is automatic; empty where none does.

    ``header`` returns the value of a header, or ``None``; ``sender`` is the address of ``From``.
    """
    submitted = (header("Auto-Submitted") or "no").partition(";")[0].strip().casefold()
    if submitted != "no":
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
    return next((name for name in _PRESENT if header(name) is not None), "")
