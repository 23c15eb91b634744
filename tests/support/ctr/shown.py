"""The drawn game as an emulator shows it: in a window with bars and borders.

    PYTHONPATH=tests python -m support.ctr.shown --width 800 --height 660 --menu 30 --status 24

is such a window, played with DuckStation's keys. It prints `drawn` when it can be seen, each key that
comes, each lap's time in hundredths; with `--tell` also what a driver who keeps to the road would hold.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from functools import cache

import cv2
import numpy as np

from support.ctr import drawn

type Box = tuple[int, int, int, int]
LIGHT, DARK = (239, 239, 239), (43, 43, 46)
MENU, STATUS = "System  Settings  View  Tools  Debug  Help", "Game: 29.97 FPS  Video: 59.94 FPS  100 %"


@dataclass(frozen=True)
class Shown:
    """A window of `size`: `menu` and `status` rows of bars, the picture 4:3 in the middle of the rest.

    With `whole` its height is a multiple of 240; with `overscan` 12 of the 240 lines above and below are
    black; `aspect` is another one's. `border` is the colour around the picture.
    """

    size: tuple[int, int] = (800, 660)
    menu: int = 30
    status: int = 24
    whole: bool = False
    overscan: bool = False
    theme: tuple[int, int, int] = LIGHT
    border: tuple[int, int, int] = (0, 0, 0)
    aspect: float = 4 / 3

    def box(self) -> Box:
        """Return where the picture is that a player would cut out: without black lines."""
        x, y, width, height = self._screen()
        edge = height * 12 // 240 if self.overscan else 0
        return x, y + edge, width, height - 2 * edge

    def _screen(self) -> Box:
        wide, high = self.size[0], self.size[1] - self.menu - self.status
        height = min(high, round(wide / self.aspect))
        if self.whole:
            height = height // 240 * 240
        width = min(wide, round(height * self.aspect))
        return (wide - width) // 2, self.menu + (high - height) // 2, width, height

    def window(self, image: np.ndarray, status: str = STATUS) -> np.ndarray:
        """Return what the window shows: uint8 RGB (H, W, 3); `image` is the game's framebuffer."""
        out = self._frame(status).copy()
        x, y, width, height = self.box()
        out[y : y + height, x : x + width] = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
        return out

    @cache  # noqa: B019
    def _frame(self, status: str) -> np.ndarray:
        out = np.empty((self.size[1], self.size[0], 3), np.uint8)
        out[:] = self.border
        ink = tuple(255 - c for c in self.theme)
        for rows, begin, text in ((self.menu, 0, MENU), (self.status, self.size[1] - self.status, status)):
            if rows:
                out[begin : begin + rows] = self.theme
                cv2.putText(out, text, (8, begin + rows - 9), cv2.FONT_HERSHEY_SIMPLEX, 0.45, ink, 1, cv2.LINE_AA)
        return out


def main() -> None:
    """Show the window and play by the keyboard."""
    import pygame

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=800)
    parser.add_argument("--height", type=int, default=660)
    parser.add_argument("--menu", type=int, default=30)
    parser.add_argument("--status", type=int, default=24)
    parser.add_argument("--title", default=drawn.TITLE)
    parser.add_argument("--fps", type=int, default=30)
    parser.add_argument("--draw-every", type=int, default=1, help="draw only every so many frames: a slow machine")
    parser.add_argument("--lap-m", type=float, default=500.0)
    parser.add_argument("--tell", action="store_true")
    parser.add_argument("--odd", action="store_true", help="no bars; the picture as drawn.ODD")
    parser.add_argument("--sky", choices=drawn.SKIES, default="busy")
    parser.add_argument("--auto", action="store_true", help="drive itself, until a key is held")
    parser.add_argument("--late-ms", type=float, default=0.0, help="how long a key takes to have an effect")
    parser.add_argument("--seconds", type=float, default=600.0, help="end after so long")
    args = parser.parse_args()
    pygame.display.init()
    cv2.setNumThreads(1)
    shown = Shown(drawn.ODD.size if args.odd else (args.width, args.height), args.menu, args.status)
    pygame.display.set_caption(args.title)  # before there is a window, so that it never has another title
    window = pygame.display.set_mode(shown.size)
    look = replace(drawn.ODD_LOOK if args.odd else drawn.Look(), sky=args.sky)
    race = drawn.Race(lap_m=args.lap_m, fps=args.fps, look=look)
    rng = np.random.default_rng(3)
    clock, held, told = pygame.time.Clock(), set[str](), False
    tapped, wish, steps = set[str](), frozenset[str](), 0
    late: list[tuple[float, int, str]] = []
    while pygame.time.get_ticks() < args.seconds * 1000:
        for event in pygame.event.get():
            if event.type == pygame.QUIT:
                return
            if event.type in (pygame.KEYDOWN, pygame.KEYUP):
                control = drawn.KEYS.get(pygame.key.name(event.key), "")
                late.append((pygame.time.get_ticks() + args.late_ms, event.type, control))
                print("press" if event.type == pygame.KEYDOWN else "release", pygame.key.name(event.key), flush=True)
        while late and late[0][0] <= pygame.time.get_ticks():
            _, kind, control = late.pop(0)
            (held.add if kind == pygame.KEYDOWN else held.discard)(control)
            tapped |= {control} if kind == pygame.KEYDOWN else set()
        # The game keeps to the wall clock, however slow the machine: frames that come late are not drawn.
        while steps <= pygame.time.get_ticks() * race.fps // 1000:
            laps = race.view.lap_times
            race.step(frozenset(held) or (race.drive() if args.auto else frozenset()), frozenset(tapped))
            tapped.clear()
            steps += 1
            if len(race.view.lap_times) > len(laps):
                print("lap", race.view.lap_times[-1] * 100 // drawn.UNITS, flush=True)
        image = drawn.frame(race.view, race.look)
        picture = drawn.present(image, drawn.ODD, rng) if args.odd else shown.window(image)
        window.blit(pygame.image.frombuffer(picture.tobytes(), shown.size, "RGB"), (0, 0))
        pygame.display.flip()
        if not told:
            print("drawn", flush=True)
            told = True
        if args.tell and race.drive() != wish:
            wish = race.drive()
            print("wish", *sorted(wish), flush=True)
        clock.tick(args.fps / args.draw_every)


if __name__ == "__main__":
    main()
