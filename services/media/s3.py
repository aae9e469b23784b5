"""S3 client: PUT, GET, HEAD and DELETE of objects, signed with AWS Signature Version 4.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html
"""

import hashlib
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass

from requests_aws4auth import AWS4Auth

from services.config.sections import S3Settings
from services.core.errors import StorageUnwell
from services.http.client import Answer, Http, NoAnswer, NotSent, TooLarge

ATTEMPTS, PAUSE_SECONDS = 2, 0.3
MAX_ANSWER_BYTES = 100_000_000
SHA256 = "x-amz-meta-sha256"  # metadata that we store with each object, in hex

# Remedies by error code: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
DENIED = "The access key may not do that. Allow it to get, put, delete and list (docs/media.md)."
REMEDIES = {
    "AccessDenied": DENIED,
    "AuthorizationHeaderMalformed": "Look at MEDIA_S3_REGION and MEDIA_S3_ACCESS_KEY.",
    "InvalidAccessKeyId": "The access key is not known there. Look at MEDIA_S3_ACCESS_KEY.",
    "NoSuchBucket": "There is no such bucket. Look at MEDIA_S3_BUCKET.",
    "PermanentRedirect": "It is elsewhere. Look at MEDIA_S3_ENDPOINT and MEDIA_S3_REGION.",
    "RequestTimeTooSkewed": "The clock of this machine is wrong.",
    "SignatureDoesNotMatch": "The secret key is another one. Look at MEDIA_S3_SECRET_KEY.",
}
CODE = re.compile(rb"<Code>([A-Za-z0-9]{1,60})</Code>")


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """Size in bytes of an object, and its SHA-256 if this program put it there."""

    size: int
    sha256: str | None


class S3:
    """One bucket. Every call raises ``StorageUnwell``.

    A call without an answer, or with status 5xx, is repeated once, because all calls are
    idempotent.
    """

    seconds = 20.0  # the total deadline of one call, the repeat included

    def __init__(self, settings: S3Settings, http: Http) -> None:
        self._settings = settings
        self._http = http
        self._base = _base(settings)

    def put(self, name: str, content: bytes) -> None:
        """Store an object; when this returns, the server has it and has verified its SHA-256."""
        headers = {
            "Content-Type": "application/octet-stream",  # browsers never read objects directly
            SHA256: hashlib.sha256(content).hexdigest(),
        }
        answer = self._call("PUT", name, self.seconds, headers, content)
        if not answer.ok:
            raise _refused(answer)

    def get(self, name: str, seconds: float | None = None) -> bytes | None:
        """The content of an object, verified by its SHA-256; ``None`` if there is none."""
        answer = self._call("GET", name, seconds or self.seconds, {"Accept-Encoding": "identity"})
        if _is_absent(answer):
            return None
        if not answer.ok:
            raise _refused(answer)
        digest = hashlib.sha256(answer.body).hexdigest()
        if answer.headers.get(SHA256, digest) != digest:
            raise _unwell("It handed over a damaged file.")
        return answer.body

    def head(self, name: str) -> ObjectInfo | None:
        """Size and SHA-256 of an object; ``None`` if there is none."""
        answer = self._call("HEAD", name, self.seconds, {"Accept-Encoding": "identity"})
        if _is_absent(answer, code=""):
            return None
        if not answer.ok:
            raise _refused(answer)
        size = int(answer.headers.get("content-length", -1))

        return ObjectInfo(size, answer.headers.get(SHA256))

    def delete(self, name: str) -> None:
        """Delete an object; does nothing if there is none."""
        answer = self._call("DELETE", name, self.seconds, {})
        if not answer.ok and not _is_absent(answer):
            raise _refused(answer)

    def _call(
        self, method: str, name: str, seconds: float, headers: Mapping[str, str], body: bytes = b""
    ) -> Answer:
        """Send a request; returns an answer with any status below 500."""
        ends = time.monotonic() + seconds
        problem = ""
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(PAUSE_SECONDS)
            left = ends - time.monotonic()
            if left <= 0:
                break
            try:
                answer = self._http.request(
                    method,
                    self._base + name,
                    headers=headers,
                    data=body,
                    auth=self._signer(),
                    seconds=left,
                    most=MAX_ANSWER_BYTES,
                )
            except (NotSent, NoAnswer, TooLarge) as error:
                problem = str(error)
                continue
            if answer.status < 500:
                return answer
            problem = f"It is in trouble itself ({_status_text(answer)})."
        raise _unwell(problem)

    def _signer(self) -> AWS4Auth:
        """A signer for one request, including the SHA-256 of its body."""
        settings = self._settings
        return AWS4Auth(settings.access_key, settings.secret_key, settings.region, "s3")


def _base(settings: S3Settings) -> str:
    """The URL of an object without its name."""
    prefix = settings.prefix or ""
    if settings.path_style:
        return f"{settings.endpoint}/{settings.bucket}/{prefix}"
    scheme, _, rest = settings.endpoint.partition("://")
    return f"{scheme}://{settings.bucket}.{rest}/{prefix}"


def _code(answer: Answer) -> str:
    """The S3 error code in an answer; the answer to HEAD has none."""
    found = CODE.search(answer.body)
    return found.group(1).decode() if found else ""


def _status_text(answer: Answer) -> str:
    return f"{answer.status} {_code(answer)}".strip()


def _is_absent(answer: Answer, code: str = "NoSuchKey") -> bool:
    """Whether the object is absent but the bucket exists; HEAD does not distinguish these."""
    return answer.status == 404 and _code(answer) == code


def _refused(answer: Answer) -> StorageUnwell:
    remedy = REMEDIES.get(_code(answer), DENIED if answer.status in (401, 403) else "")
    return _unwell(f"It answered {_status_text(answer)}. {remedy}".rstrip())


def _unwell(reason: str) -> StorageUnwell:
    return StorageUnwell(f"The bucket of the attachments cannot be used. {reason}")
