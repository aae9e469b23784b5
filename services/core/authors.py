"""Authors of outbound messages: an extension, or an e-mail address that stands in its place.

Where a text is written by answering a mail, the address is what ``Message.extension`` and
``Device.extension`` hold. No extension has an ``@`` in it.
"""

from services.core.messages import Device

MAIL = "email"  # the channel of a device that is an e-mail address


def is_address(author: str) -> bool:
    """Whether an author is an e-mail address.

    >>> is_address("desk@example.com"), is_address("201")
    (True, False)
    """
    return "@" in author


def device_of_address(address: str) -> Device:
    """An e-mail address as the device that writes a text; in lower case, as it is compared."""
    author = address.casefold()
    return Device(f"{MAIL}:{author}", author, channel=MAIL)


def named(author: str) -> str:
    """An author in a sentence, at its beginning.

    >>> named("desk@example.com"), named("201")
    ('desk@example.com', 'Extension 201')
    """
    return author if is_address(author) else f"Extension {author}"
