"""Periodic maintenance: search index, leftover files and counters, the clock."""

import time
from functools import partial

from services.http.client import Http
from services.media.media_store import MediaStore
from services.operations.mistake_warnings import CLOCK_SECONDS
from services.store import activity, attachments, deletions, quotas, sightings
from services.store.database.store import Store
from services.store.search import full_text
from services.store.sightings import Subject

WORKER = "worker"  # the kind of the sighting of a wrong clock
UPLOAD_SECONDS = 86_400.0  # how long an uploaded file waits for the message that names it


def index_messages(store: Store) -> None:
    """Add new messages to the search index. Raises ``StorageUnwell``."""
    while store.read(full_text.is_behind):
        store.write(full_text.index)


def note_clock(store: Store, http: Http) -> None:
    """Store by how much this machine's clock is ahead of a carrier's; nothing if it is right.

    Raises ``StorageUnwell``.
    """
    ahead = http.clock_ahead
    known = store.read(partial(sightings.of, subject=Subject.CLOCK))
    if ahead is not None and abs(ahead) > CLOCK_SECONDS:
        put = partial(sightings.put, subject=Subject.CLOCK, kind=WORKER, text=f"{ahead:.0f}")
        store.write(put, durable=False)
    elif ahead is not None and known:
        store.write(partial(sightings.forget, subject=Subject.CLOCK, kind=WORKER), durable=False)


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
    for prune in (activity.prune, deletions.prune):
        while store.write(prune):
            pass
