"""Comparison of secrets in constant time."""

import hmac


def same_secret(offered: str, expected: str) -> bool:
    """Compare a secret in constant time; an empty ``expected`` is never right."""
    return bool(expected) and hmac.compare_digest(
        offered.encode("utf-8", "surrogateescape"), expected.encode("utf-8", "surrogateescape")
    )
