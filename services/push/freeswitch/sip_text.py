"""What a notice says on a desk phone: plain texts that each fit one SIP MESSAGE."""

from collections.abc import Iterator
from typing import Any

from services.core.messages import Notice, clean
from services.core.segments import split

# RFC 3428 §8: 1300 bytes for the whole request where it goes by UDP; FreeSWITCH needs its part.
PART_BYTES = 700
NOT_DONE = {
    "failed": "Your text was not delivered.",
    "unknown": "Nobody knows whether your text was delivered.",
}


def texts(notice: Notice) -> Iterator[tuple[str, str, str]]:
    """(key, peer, text) of everything that a phone should show, in order; maybe nothing.

    The same key stands for the same content, in whichever notice it comes.
    """
    message = notice.message
    if message["direction"] == "in":
        if notice.type == "message.received":
            for position, part in enumerate(fitting(_received(notice))):
                yield f"{notice.id} {position}", message["from"], part
        for file in message["media"]:
            if file["state"] != "pending":
                # By itself, so that no phone cuts the link.
                text = file["url"] or "(A file did not come.)"
                yield f"{notice.extension} {file['id']}", message["from"], text
    elif message["status"] in NOT_DONE and message["sent_by"] == notice.extension:
        for position, part in enumerate(fitting(_not_done(message))):
            yield f"{notice.id} {position}", message["to"][0], part


def fitting(text: str) -> list[str]:
    """A text in parts that fit; several are numbered."""
    parts = []
    rest = clean(text)
    while rest:
        most = len(rest.encode()[:PART_BYTES].decode("utf-8", "ignore"))
        part = split(rest, most)[0]
        parts.append(part)
        rest = rest.removeprefix(part)
    if len(parts) == 1:
        return parts
    return [f"({place}/{len(parts)}) {part}" for place, part in enumerate(parts, 1)]


def _received(notice: Notice) -> str:
    """Who wrote, to whom where that is not plain, and what."""
    message = notice.message
    number, *others = message["to"]
    sender = message["from"]
    if len(notice.numbers) > 1:
        sender += f" to {', '.join([number, *others])}"
    elif others:
        sender += f" to you, {', '.join(others)}"
    awaited = any(file["state"] == "pending" for file in message["media"])
    coming = "\n(A file is on its way.)" if awaited else ""
    return f"{sender}: {message['text']}{coming}"


def _not_done(message: dict[str, Any]) -> str:
    said = [NOT_DONE[message["status"]]]
    if message["error"] is not None and message["error"]["reason"]:
        said.append(message["error"]["reason"])
    text = message["text"]
    said.append(f"It was: {text[:60]}{'…' if len(text) > 60 else ''}")
    return " ".join(said)
