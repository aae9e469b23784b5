"""EXIF data (CIPA DC-008, Exif 2.32): reads the orientation, and writes nothing but that."""

import struct

MARK = b"Exif\0\0"  # before EXIF data in JPEG
_ORIENTATION = 0x0112
_SHORT = 3  # the type of a 16-bit number


def read_orientation(data: bytes) -> int:
    """The orientation in EXIF data, from 1 (upright) to 8; 1 where there is none."""
    tiff = data.removeprefix(MARK)
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, start)
        for n in range(count):
            tag, kind, _, value = struct.unpack_from(order + "HHIH", tiff, start + 2 + 12 * n)
            if tag == _ORIENTATION and kind == _SHORT:
                return int(value) if 1 <= value <= 8 else 1
    except struct.error:
        return 1
    return 1


def only_orientation(data: bytes) -> bytes:
    """New EXIF data with the orientation of ``data`` only; empty for an upright picture."""
    orientation = read_orientation(data)
    if orientation == 1:
        return b""
    entry = struct.pack(">HHHIHH", 1, _ORIENTATION, _SHORT, 1, orientation, 0)
    return b"MM\0*" + struct.pack(">I", 8) + entry + bytes(4)
