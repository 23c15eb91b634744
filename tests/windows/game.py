"""A game of a few lines, for Windows: a moving picture with a lamp for each key, and a line for each event of a key.

Lines: `{"ready": pid}`, then `{"t": seconds, "key": name, "down": bool}`, by the wall clock. A window that nobody
closes ends when its input does. The lamps, lit white, stand in a row on a band of black, 2 LAMP high.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pygame

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.windows import LAMP, LAMPS

CODES = {"left": pygame.KSCAN_LEFT, "right": pygame.KSCAN_RIGHT, "up": pygame.KSCAN_UP, "down": pygame.KSCAN_DOWN}
CODES |= {name: getattr(pygame, f"KSCAN_{name.upper()}") for name in LAMPS if len(name) == 1}
NAMES = {code: name for name, code in CODES.items()}


def tell(**what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def main(title: str) -> None:
    pygame.init()
    screen = pygame.display.set_mode((len(LAMPS) * LAMP, 240))
    pygame.display.set_caption(title)
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    down: set[str] = set()
    turn = 0
    while True:
        for event in pygame.event.get():
            if event.type in (pygame.KEYDOWN, pygame.KEYUP) and event.scancode in NAMES:
                name = NAMES[event.scancode]
                (down.add if event.type == pygame.KEYDOWN else down.discard)(name)
                tell(t=time.time(), key=name, down=event.type == pygame.KEYDOWN)
            elif event.type == pygame.QUIT:
                return
        screen.fill((turn * 5 % 200, 90, 60))
        screen.fill((0, 0, 0), (0, 0, len(LAMPS) * LAMP, 2 * LAMP))
        for i, name in enumerate(LAMPS):
            screen.fill((255, 255, 255) if name in down else (60, 60, 60), (i * LAMP + 4, LAMP // 2, LAMP - 8, LAMP))
        pygame.display.flip()
        if turn == 0:
            tell(ready=os.getpid())
        turn += 1
        time.sleep(0.005)


if __name__ == "__main__":
    main(sys.argv[1])
