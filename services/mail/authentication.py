"""Results of DKIM, SPF and DMARC, as the receiving mail server wrote them (RFC 8601).

Only the topmost ``Authentication-Results`` of the named server counts: one below it may have come
with the mail. A result counts only for the domain of the sender.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

MOST_CHARACTERS = 4_000  # of a header that is looked at
_RESULT = re.compile(r"\s*(dkim|spf|dmarc)\s*(?:/\s*\d+\s*)?=\s*([a-z]+)\b(.*)\Z", re.DOTALL)
_PROPERTY = re.compile(r"\b(header|smtp)\s*\.\s*([a-z]+)\s*=\s*([^\s;]+)")
# By which property of a result the domain is known that it is about.
_DOMAINS = {
    "dkim": (("header", "d"), ("header", "i")),
    "spf": (("smtp", "mailfrom"),),
    "dmarc": (("header", "from"),),
}


@dataclass(frozen=True, slots=True)
class AuthenticationPolicy:
    """What must have passed (``dkim``, ``spf``, ``dmarc``) by the word of one server.

    With an empty ``method`` nothing must.
    """

    method: str = ""
    server: str = ""

    def failure(self, headers: Sequence[str], sender: str) -> str:
        """Why a mail is not proved to be of its sender; empty where it is.

        ``headers`` are the ``Authentication-Results`` of the mail, the topmost first.
        """
        if not self.method:
            return ""
        written = next((text for text in headers if _server(text) == self.server.casefold()), "")
        if not written:
            return f"{self.server} has written no result"
        domain = sender.rpartition("@")[2].casefold()
        seen = ""
        for method, result, about in _results(written):
            if method != self.method:
                continue
            if result == "pass" and _is_aligned(about, domain, strict=method == "dmarc"):
                return ""
            seen = seen or (
                f"{method}={result}" if result != "pass" else f"{method} of {about or 'no domain'}"
            )
        return f"it has {seen}" if seen else f"it has no result of {self.method}"


def _plain(header: str) -> str:
    """A header without comments, in lower case.

    What stands in quotes is a part of its word: a sender may have written any sign there.
    """
    kept: list[str] = []
    comments, in_quotes, is_escaped = 0, False, False
    for sign in header[:MOST_CHARACTERS].casefold():
        if is_escaped or sign == "\\":
            is_escaped = not is_escaped
        elif sign == '"' and not comments:
            in_quotes = not in_quotes
        elif in_quotes:
            kept.append(sign if sign.isalnum() or sign in "@.-_" else "_")
        elif sign in "()":
            comments = max(0, comments + (1 if sign == "(" else -1))
            kept.append(" ")
        elif not comments:
            kept.append(sign)
    return "".join(kept)


def _server(header: str) -> str:
    """The name of the server that wrote a header; a version may follow it."""
    words = _plain(header).partition(";")[0].split()
    return words[0] if words else ""


def _results(header: str) -> list[tuple[str, str, str]]:
    """Method, result, and the domain that it is about, of each result in a header."""
    found = []
    for part in _plain(header).split(";")[1:]:
        known = _RESULT.match(part)
        if known is None:
            continue
        method, result, rest = known.groups()
        properties = {(kind, name): value for kind, name, value in _PROPERTY.findall(rest)}
        about = next((properties[one] for one in _DOMAINS[method] if one in properties), "")
        found.append((method, result, about.rpartition("@")[2]))
    return found


def _is_aligned(about: str, domain: str, *, strict: bool) -> bool:
    """Whether a result is about a sender's domain, or about one above or below it."""
    if not about or "." not in about:
        return False
    if about == domain:
        return True
    return not strict and (domain.endswith(f".{about}") or about.endswith(f".{domain}"))
