"""A file from a carrier: fetched with its credentials, within bounds, from its own hosts."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from urllib.parse import urljoin, urlsplit

from services.core.errors import Kind, MediaError
from services.http import Answer, Http, NoAnswer, NotSent, TooLarge
from services.media.backend import too_large

# What follows from a carrier's answer; any other is refused, 5xx is tried again.
_NOT_NOW = (Kind.RETRY, "The carrier could not hand over the file now")
ANSWERS = {
    **dict.fromkeys((401, 403), (Kind.CONFIG, "The carrier did not accept our credentials")),
    **dict.fromkeys((404, 410), (Kind.RETRY, "The carrier does not have the file, or not yet")),
    **dict.fromkeys((408, 425, 429), _NOT_NOW),
}
REDIRECTS = {301, 302, 303, 307, 308}
HOPS = 3  # from one host to the next, at most


def fetch(
    http: Http,
    url: str,
    headers: Mapping[str, str],
    *,
    redirects: Sequence[str],
    most: int,
    seconds: float,
) -> Answer:
    """The carrier's whole answer with a file of at most ``most`` bytes.

    The address is the carrier's own (``Provider.media_headers``). It may redirect, three times at
    most, to https addresses at the hosts of ``redirects`` (patterns such as ``*.example.com``); the
    credentials are not shown there. ``seconds`` is the total deadline. Raises ``MediaError``.
    """
    ends = time.monotonic() + seconds
    answer = _request(http, url, headers, ends, most)
    for _ in range(HOPS):
        if answer.status not in REDIRECTS or not redirects:
            break
        url = _redirected(url, answer, redirects)
        answer = _without_credentials(_request(http, url, {}, ends, most))
    if not answer.ok:
        raise _refusal(answer.status, answer.retry_after)
    return answer


def _request(http: Http, url: str, headers: Mapping[str, str], ends: float, most: int) -> Answer:
    """One request of a fetch that ends as a whole at a moment of the monotonic clock."""
    left = max(ends - time.monotonic(), 0.1)
    try:
        return http.request("GET", url, headers=headers, seconds=left, most=most)
    except TooLarge:
        raise too_large(most) from None
    except (NotSent, NoAnswer) as error:
        reason = f"The carrier did not hand over the file. {error}"
        raise MediaError(reason, Kind.RETRY) from None


def _redirected(url: str, answer: Answer, hosts: Sequence[str]) -> str:
    """Where an answer leads to, if that is one of some hosts."""
    try:
        target = urljoin(url, answer.headers.get("location", ""))
        parts = urlsplit(target)
        port = parts.port or 443
    except ValueError:
        raise MediaError("The carrier's redirect cannot be read.", Kind.REFUSED) from None
    known = any(fnmatchcase(parts.hostname or "", host) for host in hosts)
    disguised = "@" in parts.netloc or "\\" in target
    if parts.scheme != "https" or port != 443 or not known or disguised:
        raise MediaError("The carrier's redirect leads to a foreign host.", Kind.REFUSED)
    return target


def _without_credentials(answer: Answer) -> Answer:
    """A host that was shown no credentials cannot mean ours: what it signed has run out."""
    return replace(answer, status=410) if answer.status in (401, 403) else answer


def _refusal(status: int, retry_after: float | None) -> MediaError:
    other = (
        _NOT_NOW if status >= 500 else (Kind.REFUSED, "The carrier refused to hand over the file")
    )
    kind, what = ANSWERS.get(status, other)
    wait = retry_after if kind is Kind.RETRY else None
    return MediaError(f"{what} ({status}).", kind, code=str(status), retry_after=wait)
