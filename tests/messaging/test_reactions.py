"""Reactions by SMS: shown beside the one message that they quote, else as texts."""

from collections.abc import Callable

import pytest

from services.core.messages import message_object
from services.core.reactions import Reaction, parse_reaction
from services.gateway import Gateway
from services.messaging.compose import Reply
from tests.conftest import NUMBER_ENTRY, PEER
from tests.message_steps import PHONE, receive_text, stored_messages

Make = Callable[..., Gateway]


@pytest.mark.parametrize(
    ("text", "emoji", "quoted"),
    [
        ("Liked “See you at 8”", "👍", "See you at 8"),
        ("Loved “a “b” c”", "❤️", "a “b” c"),
        ("Disliked “x”", "👎", "x"),
        ("Laughed at “x”", "😂", "x"),
        ("Emphasized “two\nlines”", "‼️", "two lines"),
        ("Emphasised “x”", "‼️", "x"),
        ("Questioned “x”", "❓", "x"),
        ('Liked "x"', "👍", "x"),
        ("Reacted 🎉 to “x”", "🎉", "x"),
        ("Reacted 👨‍👩‍👧 to “x”", "👨‍👩‍👧", "x"),
        ("Reacted 1️⃣ to “x”", "1️⃣", "x"),
        ("\u200a\u200b👍🏽\u200b to \u201c\u200a\u200bx\u200a\u200b\u201d", "👍🏽", "x"),
        ("Removed a like from “x”", "", "x"),
        ("Removed an exclamation from “x”", "", "x"),
        ("Removed 👍 from “x”", "", "x"),
    ],
)
def test_the_forms_of_reactions(text: str, emoji: str, quoted: str) -> None:
    assert parse_reaction(text) == Reaction(emoji, quoted)


@pytest.mark.parametrize(
    "text",
    ["Liked", "Liked it", "Liked “”", "Liked an image", "I Liked “x”", "Liked “x” a lot",
     "x to “y”", "!!! to “y”", "come to “Harbour Cafe”", "STOP", ""],
)  # fmt: skip
def test_what_is_no_reaction(text: str) -> None:
    assert parse_reaction(text) is None


def reactions(gateway: Gateway) -> list[tuple[str, str | None, str | None]]:
    """Text, emoji and the text of the other message, of all messages, oldest first."""
    found = stored_messages(gateway)[::-1]
    texts = {message.id: message.text for message in found}
    return [(m.text, m.reaction, texts.get(m.reaction_to or "")) for m in found]


def test_a_reaction_names_the_one_message_that_it_quotes(make_gateway: Make, database: str) -> None:
    gateway = make_gateway(NUMBER_ENTRY, DATABASE_URL=database)
    sent, _ = gateway.composer.submit(PHONE, Reply(text="See you  at 8 ", to=(PEER,)))
    receive_text(gateway, "good")
    receive_text(gateway, "Liked “See you at 8”")
    receive_text(gateway, "Reacted 🎉 to “good”")
    receive_text(gateway, "Removed a like from “See you…”")
    assert reactions(gateway)[2:] == [
        ("Liked “See you at 8”", "👍", "See you  at 8 "),
        ("Reacted 🎉 to “good”", "🎉", "good"),
        ("Removed a like from “See you…”", "", "See you  at 8 "),
    ]
    newest, *_ = stored_messages(gateway)
    shown = message_object(newest, lambda _: "")
    assert shown["reaction"] == {"emoji": "", "message_id": sent.id}
    assert shown["text"] == "Removed a like from “See you…”"


def test_a_reaction_to_none_or_to_several_is_a_text(make_gateway: Make) -> None:
    gateway = make_gateway(NUMBER_ENTRY)
    receive_text(gateway, "ok")
    receive_text(gateway, "ok")
    receive_text(gateway, "other", peer="+13035550178")
    for text in ("Liked “ok”", "Liked “nothing like it”", "Liked “other”", "Liked “Liked “ok””"):
        receive_text(gateway, text)
    assert [(emoji, to) for _, emoji, to in reactions(gateway)[3:6]] == [(None, None)] * 3
    newest, *_ = stored_messages(gateway)
    assert newest.reaction == "👍", "a reaction that is a text can be reacted to"
