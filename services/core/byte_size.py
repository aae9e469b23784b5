"""Amounts of bytes, as people read them."""


def byte_size(count: int) -> str:
    """An amount of bytes in its largest unit.

    >>> byte_size(999), byte_size(1_500_000)
    ('999 B', '1.5 MB')
    """
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000 or unit == "GB":
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    raise AssertionError
