"""A game of our own for a console that needs no BIOS: a pattern that moves, red while A is held, else green.

    PYTHONPATH=tests python -m support.ctr.nes game.nes

Registers and opcodes are those of nesdev.org; the cartridge is an NROM with 16 kB of program.
"""

from __future__ import annotations

import sys
from pathlib import Path

BEGIN = 0xC000
JUMP, IF_ZERO, IF_NOT_ZERO, IF_POSITIVE = 0x4C, 0xF0, 0xD0, 0x10
PPU_CONTROL, PPU_MASK, PPU_STATUS, PPU_SCROLL, PPU_ADDRESS, PPU_DATA = 0x2000, 0x2001, 0x2002, 0x2005, 0x2006, 0x2007
PAD = 0x4016
RED, GREEN, OTHERS = 0x16, 0x2A, (0x30, 0x21, 0x28)


class Program:
    """Machine code with labels."""

    def __init__(self) -> None:
        self.code = bytearray()
        self.labels: dict[str, int] = {}
        self.jumps: list[tuple[int, str]] = []

    def add(self, *code: int) -> None:
        self.code.extend(code)

    def label(self, name: str) -> None:
        self.labels[name] = len(self.code)

    def jump(self, code: int, name: str) -> None:
        self.add(code)
        self.jumps.append((len(self.code), name))
        self.add(*([0, 0] if code == JUMP else [0]))

    def store(self, *values: int, to: int) -> None:
        for value in values:
            self.add(0xA9, value, 0x8D, to & 255, to >> 8)

    def wait_for_blank(self, name: str) -> None:
        self.label(name)
        self.add(0x2C, PPU_STATUS & 255, PPU_STATUS >> 8)
        self.jump(IF_POSITIVE, name)

    def done(self) -> bytes:
        for at, name in self.jumps:
            if self.code[at - 1] == JUMP:
                self.code[at : at + 2] = (BEGIN + self.labels[name]).to_bytes(2, "little")
            else:
                self.code[at] = (self.labels[name] - at - 1) & 255
        return bytes(self.code)


def cartridge() -> bytes:
    """Return the file."""
    p = Program()
    p.add(0x78, 0xD8, 0xA2, 0xFF, 0x9A)  # no interrupts, binary, a stack
    p.store(0, to=PPU_CONTROL)
    p.store(0, to=PPU_MASK)
    p.wait_for_blank("warm")
    p.wait_for_blank("warm again")
    p.store(0x20, 0, to=PPU_ADDRESS)  # the tiles: 0, 1, 2, …
    p.add(0xA0, 4, 0xA2, 0)
    p.label("tiles")
    p.add(0x8E, PPU_DATA & 255, PPU_DATA >> 8, 0xE8)
    p.jump(IF_NOT_ZERO, "tiles")
    p.add(0x88)
    p.jump(IF_NOT_ZERO, "tiles")
    p.label("frame")
    p.store(1, 0, to=PAD)
    p.add(0xAD, PAD & 255, PAD >> 8, 0x29, 1)  # A
    p.jump(IF_ZERO, "up")
    p.add(0xA9, RED)
    p.jump(JUMP, "chosen")
    p.label("up")
    p.add(0xA9, GREEN)
    p.label("chosen")
    p.add(0x85, 0)
    p.wait_for_blank("blank")
    p.store(0x3F, 0, to=PPU_ADDRESS)
    p.add(0xA5, 0, 0x8D, PPU_DATA & 255, PPU_DATA >> 8)
    p.store(*OTHERS, to=PPU_DATA)
    p.store(0, 0, to=PPU_ADDRESS)
    p.add(0xE6, 1, 0xA5, 1, 0x8D, PPU_SCROLL & 255, PPU_SCROLL >> 8)  # one to the right
    p.store(0, to=PPU_SCROLL)
    p.store(0x0A, to=PPU_MASK)
    p.jump(JUMP, "frame")
    program = p.done().ljust(0x3FFA, b"\xea") + BEGIN.to_bytes(2, "little") * 3
    pattern = bytes((n * 37 ^ n >> 3) * 11 & 255 for n in range(0x2000))
    return b"NES\x1a" + bytes([1, 1]) + bytes(10) + program + pattern


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(cartridge())
