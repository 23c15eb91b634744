"""The overlay: the frame with the probability bars, shown in a window or written as a film."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import matplotlib
import numpy as np

from autopilot.api.errors import DeviceError, UserError
from autopilot.api.interfaces import LabelMap
from autopilot.api.types import Image, Step
from autopilot.drive.film import FilmWriter
from autopilot.drive.run import Ending, Observer, Run

WIDTH, HEAD, BAR, GAP = 640, 30, 14, 6
GREY, WHITE, GREEN, RED, DARK = (120, 120, 120), (240, 240, 240), (70, 200, 90), (230, 80, 70), 24
FONT = cv2.FONT_HERSHEY_SIMPLEX


def unheard(line: str) -> None:
    """Hear a line, and do nothing: a function with a name, as a process needs that is sent one."""


@dataclass(frozen=True)
class Screens:
    """Where an overlay is seen: on a `film`, whose loss on a full disk is told to `lost`, and in a window."""

    film: Path | None = None
    show: bool = False
    lost: Callable[[str], None] = unheard


class Overlay(Observer):
    """Shows each step, in a window or as a film: who drives, the referee, the picture, a bar per value of each axis."""

    def __init__(self, label_map: LabelMap, title: str, screens: Screens, scored: bool = False) -> None:
        self._scored = scored
        self._label_map, self._space, self._title = label_map, label_map.action_space, title
        self._wanted = screens
        self._screens: list[Film | Window] = []
        rows = max(self._space.sizes)
        self._panel = 2 * GAP + 18 + rows * (BAR + GAP)

    def prepare(self, run: Run) -> None:
        """Open the film and the window; raises UserError or DeviceError where that cannot be."""
        if self._wanted.film is not None:
            self._screens.append(Film(self._wanted.film, run.timing.hz, self._wanted.lost))
        if self._wanted.show:
            self._screens.append(Window(f"autopilot: {self._title}"))

    def step(self, step: Step) -> None:
        """Show one step."""
        picture = self.draw(step, self._label_map.action(step.decision.sent))
        for screen in self._screens:
            screen.add(picture)

    def close(self, ending: Ending | None, error: BaseException | None) -> None:
        """Close the film and the window."""
        with ExitStack() as stack:
            for screen in self._screens:
                stack.callback(screen.close)

    def draw(self, step: Step, chosen: tuple[int, ...] | None) -> Image:
        """Return an RGB picture, uint8, of even width and height (films need that)."""
        scale = WIDTH / step.native.shape[1]
        height = int(step.native.shape[0] * scale) // 2 * 2
        how = cv2.INTER_NEAREST if scale >= 2 else cv2.INTER_AREA
        picture = np.full((HEAD + height + self._panel // 2 * 2, WIDTH, 3), DARK, np.uint8)
        picture[HEAD : HEAD + height] = cv2.resize(step.native, (WIDTH, height), interpolation=how)
        self._bars(picture, HEAD + height, step, chosen)
        self._captions(picture, step)
        return picture

    def _bars(self, picture: Any, top: int, step: Step, chosen: tuple[int, ...] | None) -> None:
        column = WIDTH // len(self._space.axes)
        for a, axis in enumerate(self._space.axes):
            left = a * column + 10
            cv2.putText(picture, axis.name, (left, top + 16), FONT, 0.45, GREY, 1, cv2.LINE_AA)
            for i, value in enumerate(axis.values):
                y = top + GAP + 18 + i * (BAR + GAP)
                picked = chosen is not None and chosen[a] == i
                p = step.decision.probabilities
                share = float(p[a][i]) if p is not None else float(picked)
                colour = GREEN if picked else GREY
                cv2.putText(picture, value, (left, y + 11), FONT, 0.42, WHITE, 1, cv2.LINE_AA)
                x0, full = left + 64, column - 130
                cv2.rectangle(picture, (x0, y), (x0 + full, y + BAR), (50, 50, 50), -1)
                cv2.rectangle(picture, (x0, y), (x0 + int(full * share), y + BAR), colour, -1)
                text = f"{share:.2f}"
                cv2.putText(picture, text, (x0 + full + 6, y + 11), FONT, 0.4, WHITE, 1, cv2.LINE_AA)

    def _captions(self, picture: Any, step: Step) -> None:
        human = step.decision.by_human
        _caption(picture, f"{self._title}: YOU DRIVE" if human else self._title, 10, RED if human else WHITE)
        r = step.reading
        if r is None:
            return
        parts = [] if r.race_time_s is None else [f"{r.race_time_s:6.2f} s"]
        parts += [] if self._scored else [f"lap {r.lap + 1}", *(f"{t:.2f}" for t in r.lap_times_s[-1:])]
        parts += [] if r.score is None else [f"score {r.score:.0f}"]
        text = "   ".join(parts)
        width = cv2.getTextSize(text, FONT, 0.5, 1)[0][0]
        _caption(picture, text, WIDTH - width - 10, RED if r.incident else WHITE)


def _caption(picture: Any, text: str, x: int, colour: tuple[int, int, int]) -> None:
    cv2.putText(picture, text, (x, 20), FONT, 0.5, colour, 1, cv2.LINE_AA)


class Film:
    """Writes RGB pictures, uint8 of the same, even size, as H.264 in an mp4 file that players and browsers open.

    Raises UserError when the file cannot be made. One that cannot be written later is removed, and `lost` is told
    so, in a line: the drive goes on.
    """

    def __init__(self, path: Path, hz: float, lost: Callable[[str], None]) -> None:
        if path.suffix.lower() != ".mp4":
            raise UserError(f"film {path}: the name must end in .mp4")
        rate = Fraction(hz).limit_denominator(1000)
        try:
            self._film = FilmWriter(path, rate, "libx264", {"preset": "veryfast", "crf": "23"})
        except OSError as e:
            raise UserError(f"film {path} cannot be written: {e.strerror or e}") from e
        self._path, self._lost, self._over = path, lost, False

    def add(self, picture: Image) -> None:
        """Append one picture."""
        self._try(partial(self._film.add, picture))

    def _try(self, step: Callable[[], None]) -> None:
        try:
            if not self._over:
                step()
        except OSError as e:
            self._over = True
            self._lost(f"the film {self._path} is lost ({e.strerror}): free space, or film elsewhere")
            with suppress(OSError):
                self._film.close()

    def close(self) -> None:
        """Finish the file."""
        self._try(self._film.close)


class Window:
    """Shows RGB pictures in a window; raises DeviceError where there is no display."""

    def __init__(self, title: str) -> None:
        if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            raise DeviceError("no display to show the overlay on: leave out --show, or use --film")
        self._title = title
        # OpenCV's Qt comes without fonts and complains; matplotlib brings some.
        os.environ["QT_QPA_FONTDIR"] = str(Path(matplotlib.get_data_path()) / "fonts/ttf")
        try:
            cv2.namedWindow(title, cv2.WINDOW_AUTOSIZE)
        except cv2.error as e:
            raise DeviceError(f"cannot open a window for --show: {e.err or e}") from e

    def add(self, picture: Image) -> None:
        """Show one picture."""
        cv2.imshow(self._title, cv2.cvtColor(np.asarray(picture), cv2.COLOR_RGB2BGR))
        cv2.waitKey(1)

    def close(self) -> None:
        """Close the window."""
        cv2.destroyWindow(self._title)
