"""Titles as programs of old write them: X's Compound Text, version 1.1, with what XFree86 added.

https://www.x.org/releases/X11R7.7/doc/xorg-docs/ctext/ctext.html
"""

from __future__ import annotations

import re

_PARTS = {"A": 1, "B": 2, "C": 3, "D": 4, "L": 5, "G": 6, "F": 7, "H": 8, "M": 9, "V": 10, "T": 11, "Y": 13, "_": 14}
_PARTS |= {"b": 15, "f": 16}
"""The last byte of `-` -> the part of ISO 8859."""

_SETS = {f"-{final}".encode(): f"iso8859-{part}" for final, part in _PARTS.items()}
_SETS |= {b"(B": "ascii", b"(J": "ascii", b")I": "shift_jis"}
_SETS |= {
    f"${side}{final}".encode(): codec
    for final, codec in (("A", "gb2312"), ("B", "euc_jp"), ("C", "euc_kr"))
    for side in "()"
}
"""Escape sequence -> codec; `(` is for the bytes below 128, the others for those above."""


def decode(data: bytes) -> str:
    """Return the text; what is unknown or broken in it becomes replacement characters."""
    left, right = "ascii", "iso8859-1"
    first, *rest = re.split(rb"\x1b([ -/]+[0-~])", data)
    text = ""
    for escape, run in zip([b"", *rest[::2]], [first, *rest[1::2]], strict=True):
        if escape == b"%G":
            text += run.decode(errors="replace")
            continue
        if (codec := _SETS.get(escape)) is not None:
            left, right = (codec, right) if b"(" in escape else (left, codec)
        for low, high in re.findall(rb"([\0-\x7f]+)|([\x80-\xff]+)", run):
            if left != "ascii":  # the same characters, as their codec has them: with the top bit
                text += bytes(byte | 0x80 for byte in low).decode(left, "replace")
            else:
                text += low.decode()
            text += high.decode(right, "replace")
    return text
