"""Authors of outbound messages: an extension, or an e-mail address that stands in its place.

Where a text is written by answering a mail, the address is what ``Message.extension`` and
``Device.extension`` hold. No extension has an ``@`` in it.
"""

from collections.abc import Mapping

from services.core.messages import Device

NO_NAMES: Mapping[str, str] = {}
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


def named(author: str, names: Mapping[str, str] = NO_NAMES) -> str:
    """An author in a sentence: by its name in ``names``, else at the beginning of the sentence.

    >>> named("desk@example.com"), named("201"), named("202", {"202": "Ann Example"})
    ('desk@example.com', 'Extension 201', 'Ann Example')
    """
    return names.get(author) or (author if is_address(author) else f"Extension {author}")


def with_name(author: str, names: Mapping[str, str]) -> str:
    """An author in a table or a list: an extension with its name, if it has one.

    >>> with_name("201", {}), with_name("202", {"202": "Ann Example"})
    ('201', 'Ann Example (202)')
    """
    name = names.get(author)
    return f"{name} ({author})" if name else author
