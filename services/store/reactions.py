"""Reactions among stored messages: finds the message that an inbound text is a reaction to."""

from dataclasses import replace

from sqlalchemy import Connection, select

from services.core.messages import Message
from services.core.reactions import parse_reaction
from services.store.database.schema import messages

AMONG = 200  # newest messages of the conversation that are compared


def with_reaction(tx: Connection, message: Message) -> Message:
    """An inbound message, marked as a reaction if exactly one message of its conversation fits.

    Its text stays as it is. ``conversation_id`` is set already.
    """
    reaction = parse_reaction(message.text)
    if reaction is None or message.media:
        return message
    statement = (
        select(messages.c.id, messages.c.text, messages.c.reaction_to)
        .where(messages.c.conversation_id == message.conversation_id)
        .order_by(messages.c.seq.desc())
        .limit(AMONG)
    )
    fitting = [
        str(row.id)
        for row in tx.execute(statement)
        if row.reaction_to is None and reaction.fits(row.text)
    ]
    if len(fitting) != 1:
        return message
    return replace(message, reaction=reaction.emoji, reaction_to=fitting[0])
