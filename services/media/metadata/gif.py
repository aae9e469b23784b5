"""GIF89a: removes comments and all application data but the loop of an animation."""

from services.media.metadata.pieces import PieceCounter

_LOOPS = (b"NETSCAPE2.0", b"ANIMEXTS1.0")
_EXTENSION, _IMAGE, _END = 0x21, 0x2C, 0x3B
_CONTROL, _TEXT, _APPLICATION = 0xF9, 0x01, 0xFF


def strip(content: bytes) -> bytes:
    """A GIF without metadata, cut after its end. Raises ``ValueError`` and the like."""
    at, pieces = 13 + _colour_table(content[10]), PieceCounter()
    kept = [content[:at]]
    while content[at] != _END:
        start = at
        if content[at] == _IMAGE:
            at = _blocks_end(content, at + 11 + _colour_table(content[at + 9]), pieces)
            kept.append(content[start:at])
        elif content[at] == _EXTENSION:
            label = content[at + 1]
            at = _blocks_end(content, at + 2, pieces)
            loops = label == _APPLICATION and content[start + 3 : start + 14] in _LOOPS
            if loops or label in (_CONTROL, _TEXT):
                kept.append(content[start:at])
        else:
            raise ValueError("no block")
    return b"".join((*kept, bytes((_END,))))


def _colour_table(packed: int) -> int:
    """The size in bytes of the colour table that a packed field announces."""
    return 3 << ((packed & 7) + 1) if packed & 0x80 else 0


def _blocks_end(content: bytes, at: int, pieces: PieceCounter) -> int:
    """Where a row of sub-blocks that begins at ``at`` ends."""
    while content[at]:
        pieces.count()
        at += 1 + content[at]
    pieces.count()
    return at + 1
