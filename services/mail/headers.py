"""Values for e-mail headers: safe single-line text and mail addresses."""

import unicodedata
from email.errors import HeaderParseError
from email.headerregistry import Address

# Unicode categories: control characters, invisible format characters, half surrogate pairs.
NOT_ALLOWED = {"Cc", "Cf", "Cs"}
JOINERS = "\u200c\u200d"  # format characters in emoji of several parts, and in Persian and Hindi


def one_line(text: str, max_length: int) -> str:
    """Make untrusted text safe for a header: one line of at most ``max_length`` characters."""
    collapsed = " ".join(text.split())
    kept = "".join(
        c for c in collapsed if c in JOINERS or unicodedata.category(c) not in NOT_ALLOWED
    )
    # The email package decodes “=?…?=” as an encoded word, which can contain a line break.
    kept = kept.replace("=?", "= ?")
    return kept if len(kept) <= max_length else kept[: max_length - 1] + "…"


def parse_address(display_name: str, written: str) -> Address:
    """A mail address whose domain is in ASCII (IDNA). Raises ``ValueError``."""
    local, at, domain = written.strip().rpartition("@")
    try:
        return Address(display_name, addr_spec=local + at + domain.encode("idna").decode())
    except (HeaderParseError, IndexError):
        raise ValueError("It is not an e-mail address.") from None
