"""Periodic maintenance: search indexing of new messages, removal of leftover files and counters."""

import time
from functools import partial

from services.media.media_store import MediaStore
from services.store import activity, attachments, quotas
from services.store.database.store import Store
from services.store.search import full_text

UPLOAD_SECONDS = 86_400.0  # how long an uploaded file waits for the message that names it


def index_messages(store: Store) -> None:
    """Add new messages to the search index. Raises ``StorageUnwell``."""
    while store.read(full_text.is_behind):
        store.write(full_text.index)


def remove_leftovers(store: Store, media: MediaStore) -> None:
    """Delete half-fetched files, uploads that no message names, and old counters.

    Raises ``StorageUnwell``; the next call deletes the rest.
    """
    store.write(quotas.sweep)
    media.sweep(UPLOAD_SECONDS)
    before = time.time() - UPLOAD_SECONDS
    for file_id in store.write(lambda tx: attachments.withdraw_uploads(tx, before)):
        media.remove(file_id)
        store.write(partial(attachments.remove, file_id=file_id))
    while store.write(activity.prune):
        pass
