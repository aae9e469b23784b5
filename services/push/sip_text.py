"""Outbound SIP texts: writes a notice as plain texts, and splits them for one SIP MESSAGE each."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from services.core.byte_size import byte_size
from services.core.messages import Notice, clean
from services.core.segments import split

# RFC 3428 §8: a request over UDP has at most 1300 bytes, headers included.
PART_BYTES = 700
FAILURE_TEXTS = {
    "failed": "Your text was not delivered.",
    "unknown": "Your text may not have been sent.",
}
FILE_KINDS = {"image": "Picture", "video": "Video", "audio": "Audio"}


@dataclass(frozen=True, slots=True)
class SipText:
    """A text that a phone should show: ``number`` is ours, ``peer`` is theirs; empty in a test.

    The same content has the same ``key`` in every notice.
    """

    key: str
    number: str
    peer: str
    text: str


def sip_texts(notice: Notice) -> Iterator[SipText]:
    """Everything that a phone should show, in order."""
    message = notice.message
    if notice.type == "device.test":
        yield SipText(notice.id, "", "", notice.body)
    elif message["direction"] == "in":
        number, peer = message["to"][0], message["from"]
        if notice.type == "message.received":
            yield SipText(notice.id, number, peer, _received(notice))
        for file in message["media"]:
            if file["state"] != "pending":
                # As a text of its own, so that no phone cuts the link.
                yield SipText(f"{notice.extension} {file['id']}", number, peer, _file_text(file))
    elif message["sent_by"] == notice.extension and _is_news(message):
        yield SipText(notice.id, message["from"], message["to"][0], _failure_text(message))


def _is_news(message: dict[str, Any]) -> bool:
    """Whether the sender has to hear what became of a text; who cancels one knows it."""
    by_a_person = message["error"] is not None and message["error"]["code"] == "cancelled"
    return message["status"] in FAILURE_TEXTS and not by_a_person


def split_for_sip(text: str, part_bytes: int = PART_BYTES) -> list[str]:
    """Split a text into parts of at most ``part_bytes`` bytes; several parts are numbered."""
    if not text:
        return []
    parts = split(clean(text), part_bytes, width=lambda character: len(character.encode()))
    if len(parts) == 1:
        return parts
    return [f"({position}/{len(parts)}) {part}" for position, part in enumerate(parts, 1)]


def _received(notice: Notice) -> str:
    """Sender, number where the extension has several, other group members, and text."""
    message = notice.message
    number, *others = message["to"]
    sender = message["from"]
    if len(notice.numbers) > 1:
        sender += f" to {', '.join([number, *others])}"
    elif others:
        sender += f" to you, {', '.join(others)}"
    has_pending_files = any(file["state"] == "pending" for file in message["media"])
    pending_note = "\n(Downloading a file …)" if has_pending_files else ""
    return f"{sender}: {message['text']}{pending_note}"


def _file_text(file: dict[str, Any]) -> str:
    """The link to a file with its kind and size, such as ``Picture (PNG, 24.0 kB): https://…``."""
    if not file["url"]:
        return "(A file did not come.)"
    kind, _, subtype = file["content_type"].partition("/")
    form = subtype.partition(";")[0].partition("+")[0].removeprefix("x-").upper()
    told = f"{FILE_KINDS.get(kind, 'File')} ({form}, {byte_size(file['size'])})"
    return f"{told}: {file['url']}"


def _failure_text(message: dict[str, Any]) -> str:
    sentences = [FAILURE_TEXTS[message["status"]]]
    if message["error"] is not None and message["error"]["reason"]:
        sentences.append(message["error"]["reason"])
    text = message["text"]
    sentences.append(f"It was: {text[:60]}{'…' if len(text) > 60 else ''}")
    return " ".join(sentences)
