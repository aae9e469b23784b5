"""The text of an incoming SIP MESSAGE: plain, or wrapped in CPIM (RFC 3862)."""

import re
import zlib

from services.push.sip.grammar import WORD, Params, Unreadable, param, parse_params, split
from services.push.sip.sip_message import Request

MAX_TEXT = 32 * 1024  # bytes; no text message has as many
ACCEPTED = "text/plain, message/cpim"
# What phones send by themselves: somebody is typing (RFC 3994), has got or seen a text (RFC 5438).
NOTIFICATIONS = {"application/im-iscomposing+xml", "message/imdn+xml"}
_CHARSET = re.compile(r"utf-?8|us-ascii|iso-8859-[0-9]{1,2}|windows-125[0-9]|utf-16(?:[bl]e)?")
_TYPE = re.compile(rf"[ \t]*({WORD}/{WORD})[ \t]*")
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
_LINE_END = re.compile(r"\r?\n")
_UNCODED = {"", "identity", "7bit", "8bit", "binary"}


def read_text(request: Request) -> str | None:
    """The text of a MESSAGE with line breaks as LF; ``None`` where there is none to show.

    That is a notification of the phone's software, or a text without characters. Raises
    ``Unreadable`` with the status that refuses the request: 400, 413 or 415.
    """
    size = request.number("content-length") or 0
    if max(size, len(request.body)) > MAX_TEXT:
        raise Unreadable("The text is too long.", 413)
    content = _decompress(request.body, request.headers.get("content-encoding") or "")
    kind, params = _content_type(request.headers.get("content-type"))
    if kind == "message/cpim":
        kind, params, content = _unwrap(content)
    if kind in NOTIFICATIONS:
        return None
    if kind != "text/plain":
        raise Unreadable("Only plain texts are taken.", 415)
    text = _LINE_END.sub("\n", _decode(content, params))
    return text if text.strip() else None


def _decompress(body: bytes, coding: str) -> bytes:
    """The body without its compression; linphone compresses its notifications."""
    coding = coding.strip().lower()
    if coding in _UNCODED:
        return body
    if coding != "deflate":
        raise Unreadable("The body is compressed in an unknown way.", 415)
    decompressor = zlib.decompressobj()
    try:
        content = decompressor.decompress(body, MAX_TEXT)
    except zlib.error:
        raise Unreadable("The compressed body is not valid.") from None
    if decompressor.unconsumed_tail:
        raise Unreadable("The text is too long.", 413)
    return content


def _unwrap(body: bytes) -> tuple[str, Params, bytes]:
    """Type, parameters and content of the MIME part in a CPIM message."""
    parts = _BLANK_LINE.split(body, maxsplit=2)
    if len(parts) < 3:
        raise Unreadable("The CPIM message is not complete.")
    headers = _headers(parts[0])
    if "require" in headers:
        raise Unreadable("The CPIM message requires what is not known here.", 415)
    headers = _headers(parts[1])
    if headers.get("content-transfer-encoding", "").lower() not in _UNCODED:
        raise Unreadable("The text in the CPIM message is encoded.", 415)
    return *_content_type(headers.get("content-type")), parts[2]


def _headers(block: bytes) -> dict[str, str]:
    """The header lines of a CPIM message or its content, names in lower case."""
    headers = {}
    for line in _LINE_END.split(block.decode("utf-8", "replace").strip("\r\n")):
        name, colon, value = line.partition(":")
        if not colon:
            raise Unreadable("A line of the CPIM message is no header.")
        headers[name.strip().lower()] = value.strip()
    return headers


def _content_type(value: str | None) -> tuple[str, Params]:
    if value is None:
        return "text/plain", ()
    first, *rest = split(value, ";")
    found = _TYPE.fullmatch(first)
    if not found:
        raise Unreadable("The Content-Type is not valid.")
    return found[1].lower(), parse_params(rest)


def _decode(content: bytes, params: Params) -> str:
    charset = (param(params, "charset") or "utf-8").lower()
    if not _CHARSET.fullmatch(charset):
        raise Unreadable("The character set is not known.", 415)
    try:
        return content.decode(charset, "replace")
    except LookupError:
        raise Unreadable("The character set is not known.", 415) from None
