"""Table of attachments: the files of messages and their state, without their content."""

import time
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, select, update

from services.core.messages import Attachment
from services.store.database.compiled_statements import CompiledStatement
from services.store.database.schema import attachments, messages

_OF = CompiledStatement(
    lambda _: (
        select(attachments)
        .where(attachments.c.message_id.in_(bindparam("message_ids", expanding=True)))
        .order_by(attachments.c.message_id, attachments.c.position)
    )
)


def add(tx: Connection, message_id: str, media: Sequence[Attachment]) -> None:
    """Add the files that a carrier offers with a message."""
    now = time.time()
    for position, file in enumerate(media):
        row = _row(file) | {"message_id": message_id, "position": position, "created_at": now}
        tx.execute(attachments.insert().values(row))


def add_upload(tx: Connection, extension: str, file: Attachment) -> None:
    """Add a file that an extension's app has uploaded and no message has yet."""
    row = _row(file) | {"extension": extension, "position": 0, "created_at": time.time()}
    tx.execute(attachments.insert().values(row))


def uploads(tx: Connection, extension: str, ids: Sequence[str]) -> dict[str, Attachment]:
    """The files among ``ids`` that an extension has uploaded and no message has yet."""
    if not ids:
        return {}
    statement = select(attachments).where(
        attachments.c.id.in_(ids),
        attachments.c.extension == extension,
        attachments.c.message_id.is_(None),
    )
    return {row.id: _attachment(row) for row in tx.execute(statement)}


def claim(tx: Connection, message_id: str, ids: Sequence[str]) -> None:
    """Attach uploaded files to a message, in this order."""
    for position, file_id in enumerate(ids):
        tx.execute(
            update(attachments)
            .where(attachments.c.id == file_id, attachments.c.message_id.is_(None))
            .values(message_id=message_id, position=position)
        )


def move(tx: Connection, message_id: str, to_message_id: str) -> None:
    """Give the files of a message to another one, which replaces it."""
    tx.execute(
        update(attachments)
        .where(attachments.c.message_id == message_id)
        .values(message_id=to_message_id)
    )


def of(tx: Connection, message_ids: Sequence[str]) -> dict[str, tuple[Attachment, ...]]:
    """The files of messages, in order."""
    if not message_ids:
        return {}
    found: dict[str, tuple[Attachment, ...]] = {}
    for row in _OF.rows(tx, message_ids=message_ids):
        found[row.message_id] = (*found.get(row.message_id, ()), _attachment(row))
    return found


def visible(
    tx: Connection, file_id: str, extension: str, numbers: Iterable[str]
) -> Attachment | None:
    """A file, if the extension may see it: of a message of its numbers, or its own upload."""
    row = tx.execute(
        select(attachments, messages.c.number)
        .select_from(attachments.outerjoin(messages, messages.c.id == attachments.c.message_id))
        .where(attachments.c.id == file_id)
    ).one_or_none()
    if row is None:
        return None
    own = row.message_id is None and row.extension == extension
    return _attachment(row) if own or row.number in set(numbers) else None


def by_id(tx: Connection, file_id: str) -> Attachment | None:
    """One file."""
    row = tx.execute(select(attachments).where(attachments.c.id == file_id)).one_or_none()
    return _attachment(row) if row is not None else None


def keep(tx: Connection, file: Attachment) -> None:
    """Note that a file's content is stored, and what it is."""
    tx.execute(
        update(attachments)
        .where(attachments.c.id == file.id)
        .values(
            state="kept",
            content_type=file.content_type,
            name=file.name,
            size=file.size,
            width=file.width,
            height=file.height,
            reason=None,
        )
    )


def note_thumbnail(tx: Connection, file: Attachment) -> None:
    """Note whether a file has a thumbnail, and the size of the picture."""
    values = {"thumbnail": file.thumbnail, "width": file.width, "height": file.height}
    tx.execute(update(attachments).where(attachments.c.id == file.id).values(values))


def fail(tx: Connection, file_id: str, reason: str) -> None:
    """Note that a file's content cannot be fetched, with the reason."""
    tx.execute(
        update(attachments).where(attachments.c.id == file_id).values(state="failed", reason=reason)
    )


def remove(tx: Connection, file_id: str) -> None:
    """Delete a file's row: a SMIL document, which no user needs, or an upload that was not sent."""
    tx.execute(delete(attachments).where(attachments.c.id == file_id))


def detach(tx: Connection, message_ids: Sequence[str]) -> list[str]:
    """Take the files of messages from them, and return their ids.

    They are to be deleted: ``withdraw_uploads`` returns them until ``remove`` deletes their rows.
    """
    statement = (
        update(attachments)
        .where(attachments.c.message_id.in_(message_ids))
        .values(message_id=None, extension=None, created_at=0.0)
        .returning(attachments.c.id)
    )
    return [str(file_id) for file_id in tx.execute(statement).scalars()]


def withdraw_uploads(tx: Connection, before: float) -> list[str]:
    """Take uploads before a time that no message has from their extension, and return their ids.

    No message can claim them any more. They are returned again until ``remove`` deletes them.
    """
    unclaimed = (attachments.c.message_id.is_(None), attachments.c.created_at < before)
    tx.execute(update(attachments).where(*unclaimed).values(extension=None))
    return [str(row[0]) for row in tx.execute(select(attachments.c.id).where(*unclaimed))]


def _row(file: Attachment) -> dict[str, Any]:
    return {
        "id": file.id,
        "name": file.name,
        "content_type": file.content_type,
        "size": file.size,
        "state": file.state,
        "reason": file.reason,
        "source_url": file.source_url,
        "width": file.width,
        "height": file.height,
    }


def _attachment(row: Row[Any]) -> Attachment:
    return Attachment(
        source_url=row.source_url,
        content_type=row.content_type,
        name=row.name,
        size=row.size,
        id=row.id,
        state=row.state,
        reason=row.reason,
        width=row.width,
        height=row.height,
        thumbnail=row.thumbnail,
    )
