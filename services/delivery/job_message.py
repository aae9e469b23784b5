"""The message that a job is about."""

from services.core.errors import DeliveryError, Kind
from services.core.messages import Message
from services.store import messages
from services.store.database.store import Store
from services.store.jobs import Job


def message_of(store: Store, job: Job) -> Message:
    """The message of a job. Raises ``DeliveryError`` when it was deleted, and ``StorageUnwell``."""
    message = store.read(lambda tx: messages.by_id(tx, job.message_id))
    if message is None:
        raise DeliveryError("The message is not known any more.", Kind.REFUSED)
    return message
