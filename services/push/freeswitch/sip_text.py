"""Outbound SIP texts: writes a notice as plain texts that each fit in one SIP MESSAGE."""

from collections.abc import Iterator
from typing import Any

from services.core.messages import Notice, clean
from services.core.segments import split

# RFC 3428 §8: a request over UDP has at most 1300 bytes, headers included.
PART_BYTES = 700
FAILURE_TEXTS = {
    "failed": "Your text was not delivered.",
    "unknown": "Your text may not have been sent.",
}


def sip_texts(notice: Notice) -> Iterator[tuple[str, str, str]]:
    """Yield (key, peer, text) for everything that a phone should show, in order.

    The same content has the same key in every notice.
    """
    message = notice.message
    if message["direction"] == "in":
        if notice.type == "message.received":
            for position, part in enumerate(split_for_sip(_received(notice))):
                yield f"{notice.id} {position}", message["from"], part
        for file in message["media"]:
            if file["state"] != "pending":
                # As a text of its own, so that no phone cuts the link.
                text = file["url"] or "(A file did not come.)"
                yield f"{notice.extension} {file['id']}", message["from"], text
    elif message["sent_by"] == notice.extension and _is_news(message):
        for position, part in enumerate(split_for_sip(_failure_text(message))):
            yield f"{notice.id} {position}", message["to"][0], part


def _is_news(message: dict[str, Any]) -> bool:
    """Whether the sender has to hear what became of a text; who cancels one knows it."""
    by_a_person = message["error"] is not None and message["error"]["code"] == "cancelled"
    return message["status"] in FAILURE_TEXTS and not by_a_person


def split_for_sip(text: str) -> list[str]:
    """Split a text into parts of at most ``PART_BYTES`` bytes; several parts are numbered."""
    if not text:
        return []
    parts = split(clean(text), PART_BYTES, width=lambda character: len(character.encode()))
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


def _failure_text(message: dict[str, Any]) -> str:
    sentences = [FAILURE_TEXTS[message["status"]]]
    if message["error"] is not None and message["error"]["reason"]:
        sentences.append(message["error"]["reason"])
    text = message["text"]
    sentences.append(f"It was: {text[:60]}{'…' if len(text) > 60 else ''}")
    return " ".join(sentences)
