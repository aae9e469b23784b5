"""Download of attachments from carriers: host allow-list, redirect limit, size limit, deadline."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from urllib.parse import urljoin, urlsplit

from services.core.errors import Kind, MediaError
from services.http.client import Answer, Http, NoAnswer, NotSent, TooLarge
from services.media.backend import too_large_error

# Status -> the decision and the reason. Other statuses are refused, 5xx is retried.
_TEMPORARY = (Kind.RETRY, "The carrier could not hand over the file now")
ANSWERS = {
    **dict.fromkeys((401, 403), (Kind.CONFIG, "The carrier did not accept our credentials")),
    **dict.fromkeys((404, 410), (Kind.RETRY, "The carrier does not have the file, or not yet")),
    **dict.fromkeys((408, 425, 429), _TEMPORARY),
}
REDIRECTS = {301, 302, 303, 307, 308}
MAX_REDIRECTS = 3


def fetch(
    http: Http,
    url: str,
    headers: Mapping[str, str],
    *,
    redirects: Sequence[str],
    max_bytes: int,
    seconds: float,
) -> Answer:
    """Download a file of at most ``max_bytes`` bytes; returns the complete answer.

    The caller has checked the host of ``url`` (``Provider.media_headers``). At most three redirects
    are followed, only to https URLs at the hosts in ``redirects`` (patterns such as
    ``*.example.com``) and without ``headers``, which hold the credentials. ``seconds`` is the total
    deadline. Raises ``MediaError``.
    """
    ends = time.monotonic() + seconds
    answer = _request(http, url, headers, ends, max_bytes)
    for _ in range(MAX_REDIRECTS):
        if answer.status not in REDIRECTS or not redirects:
            break
        url = _redirected(url, answer, redirects)
        answer = _without_credentials(_request(http, url, {}, ends, max_bytes))
    if not answer.ok:
        raise _refusal(answer.status, answer.retry_after)
    return answer


def _request(
    http: Http, url: str, headers: Mapping[str, str], ends: float, max_bytes: int
) -> Answer:
    """Send one request; ``ends`` is the deadline of the whole download (monotonic clock)."""
    left = max(ends - time.monotonic(), 0.1)
    try:
        return http.request("GET", url, headers=headers, seconds=left, most=max_bytes)
    except TooLarge:
        raise too_large_error(max_bytes) from None
    except (NotSent, NoAnswer) as error:
        reason = f"The carrier did not hand over the file. {error}"
        raise MediaError(reason, Kind.RETRY) from None


def _redirected(url: str, answer: Answer, hosts: Sequence[str]) -> str:
    """The redirect target of an answer. Raises ``MediaError`` unless its host is allowed."""
    try:
        target = urljoin(url, answer.headers.get("location", ""))
        parts = urlsplit(target)
        port = parts.port or 443
    except ValueError:
        raise MediaError("The carrier's redirect cannot be read.", Kind.REFUSED) from None
    is_allowed = any(fnmatchcase(parts.hostname or "", host) for host in hosts)
    has_userinfo = "@" in parts.netloc or "\\" in target
    if parts.scheme != "https" or port != 443 or not is_allowed or has_userinfo:
        raise MediaError("The carrier's redirect leads to a foreign host.", Kind.REFUSED)
    return target


def _without_credentials(answer: Answer) -> Answer:
    """Turn 401 and 403 into 410: without our credentials they mean an expired signed URL."""
    return replace(answer, status=410) if answer.status in (401, 403) else answer


def _refusal(status: int, retry_after: float | None) -> MediaError:
    other = (
        _TEMPORARY if status >= 500 else (Kind.REFUSED, "The carrier refused to hand over the file")
    )
    kind, what = ANSWERS.get(status, other)
    wait = retry_after if kind is Kind.RETRY else None
    return MediaError(f"{what} ({status}).", kind, code=str(status), retry_after=wait)
