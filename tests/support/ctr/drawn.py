"""A drawn stand-in for Crash Team Racing: a road, a kart, the game's HUD at its documented places.

Nothing here is the game's: letters come from free fonts, colours are made up. What is the game's is
the geometry (framebuffer 512x216; `TIME TRIAL` at (20, 8), the clock at (20, 16) in letters of 17x17,
colons 11 wide; lap times below it in letters 13 wide and 8 high; `n/3` flush right at x = 484;
WRONG WAY centred 30 above the middle) and what its code does: the clock counts 1/960 s, WRONG WAY
shows while bit 7 of that count is set, the lap counter goes when the race is over, the clock stays
for 66 frames more and then flies off to the left.

    PYTHONPATH=tests python -m support.ctr.drawn --scale 2 --hud map      a window, played with DuckStation's keys
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from autopilot.api.types import Frame
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont

WIDTH, HEIGHT, HORIZON = 512, 216, 84
UNITS = 960
"""What the clock counts to in a second."""
FONTS = {
    "sans": "DejaVuSans-Bold.ttf",
    "serif": "DejaVuSerif-Bold.ttf",
    "mono": "DejaVuSansMono-Bold.ttf",
    "times": "STIXGeneralBol.ttf",
    "oblique": "DejaVuSans-BoldOblique.ttf",
}
ORANGE = ((255, 232, 90), (236, 84, 0))
PERIWINKLE = ((214, 222, 255), (84, 104, 226))
RED = ((255, 150, 140), (196, 0, 20))
SKIES = ("busy", "plain", "gradient", "hilly", "half")
"""What is behind the HUD: noise, one colour, a gradient, that over hills, that over half of the way round."""
TITLE = "Crash Team Racing"
KEYS = {
    **{"left": "left", "right": "right", "up": "up", "down": "down"},
    **{"k": "accelerate", "j": "brake", "l": "item", "q": "slide_left", "e": "slide_right", "i": "triangle"},
}
"""DuckStation's, and what each is to the game."""


@dataclass(frozen=True)
class Look:
    """What stays the same during a race.

    `sky` is one of `SKIES`; `letter` and `colon` are how wide the large ones are; `lines` is the framebuffer's height.
    """

    font: str = "sans"
    hud: str = "map"
    track: int = 0
    label: str = "TIME TRIAL"
    wrong: str = "WRONG WAY!"
    outline: bool = True
    slash: int = 17
    sky: str = "busy"
    letter: int = 17
    colon: int = 11
    lines: int = 216


@dataclass(frozen=True)
class View:
    """What one frame shows. Times count 1/960 s; `since_finish` and `to_go` count frames."""

    clock: int = 0
    lap: int = 1
    laps: int = 3
    lap_times: tuple[int, ...] = ()
    wrong_way: bool = False
    since_finish: int | None = None
    to_go: int = 0
    at: float = 0.0
    offset: float = 0.0
    speed: float = 0.0
    paused: bool = False
    steer: int = 0

    @property
    def blinks(self) -> bool:
        """Whether WRONG WAY is on the screen now."""
        return self.wrong_way and bool(self.clock & 0x80)


def clock_text(units: int) -> str:
    """Return `M:SS:CC`, cut off, never rounded."""
    return f"{units // (60 * UNITS)}:{units // UNITS % 60:02d}:{units * 100 // UNITS % 100:02d}"


# --- letters


@cache
def glyph(font: str, letter: str, width: int, height: int, outline: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return where the letter's face and its outline are in a cell: two masks (height, width)."""
    file = Path(matplotlib.get_data_path()) / "fonts/ttf" / FONTS[font]
    big = 8
    picture = Picture.new("L", (width * big * 2, height * big * 2))
    face = ImageFont.truetype(str(file), height * big)
    ImageDraw.Draw(picture).text((width * big // 2, 0), letter, font=face, fill=255)
    cap = face.getbbox("8")
    box = picture.getbbox() or (0, 0, 1, 1)
    rows = (cap[1], cap[3]) if letter.isalnum() else (min(cap[1], box[1]), max(cap[3], box[3]))
    cut = picture.crop((box[0], rows[0], box[2], rows[1]))
    tall = height - (3 if height > 8 else 2)
    wanted = min(width - 3, max(3, round((box[2] - box[0]) * 14 / (cap[3] - cap[1]))))
    mask = np.zeros((height, width), np.uint8)
    left = 1 + (width - 3 - wanted) // 2
    shape = np.asarray(cut.resize((wanted, tall), Picture.Resampling.BOX))
    mask[1 : 1 + tall, left : left + wanted] = shape > (110 if height > 8 else 80)
    around = cv2.dilate(mask, np.ones((3, 3), np.uint8)) if outline else mask
    return mask.astype(bool), (around > mask)


def text_width(text: str, width: int, look: Look) -> int:
    """Return how wide a line is."""
    return sum(advance(c, width, look) for c in text)


def advance(letter: str, width: int, look: Look) -> int:
    """Return how far the next letter is from this one."""
    if letter == ":":
        return look.colon if width == look.letter else 7 * width // 13
    if letter in ".!":
        return 11 * width // 17
    return look.slash * width // 17 if letter == "/" else width


def write(image: np.ndarray, text: str, x: int, y: int, look: Look, colour: tuple, small: bool = False) -> None:
    """Draw a line of letters whose first cell's corner is (x, y); what lies outside is cut off."""
    width, height = (13 * look.letter // 17, 8) if small else (look.letter, 17)
    top, bottom = (np.array(c, float) for c in colour)
    tint = (top + np.linspace(0, 1, height)[:, None] * (bottom - top)).astype(np.uint8)
    for letter in text:
        if letter != " ":
            step = advance(letter, width, look)
            face, outline = glyph(look.font, letter, step, height, look.outline)
            x0, x1, y0, y1 = max(0, x), min(WIDTH, x + step), max(0, y), min(len(image), y + height)
            if x0 < x1 and y0 < y1:
                part = (slice(y0 - y, y1 - y), slice(x0 - x, x1 - x))
                place = image[y0:y1, x0:x1]
                place[outline[part]] = (16, 8, 24)
                place[face[part]] = np.broadcast_to(tint[:, None], (height, step, 3))[part][face[part]]
        x += advance(letter, width, look)


# --- the scene


@dataclass(frozen=True)
class Track:
    """A road that bends, and what stands beside it."""

    busy: np.ndarray
    ground: np.ndarray
    bends: np.ndarray
    posts: np.ndarray

    def curve(self, at: float) -> float:
        """Return how sharply the road turns right at a place, -1 to 1."""
        return float(np.sin(self.bends[:, 0] * at + self.bends[:, 1]) @ self.bends[:, 2])


@cache
def sky(seed: int, kind: str) -> np.ndarray:
    """Return all the way round of a sky: uint8 RGB (84, 2048, 3)."""
    busy = track(seed).busy[:HORIZON]
    if kind == "busy":
        return busy
    rng = np.random.default_rng(8000 + seed)
    top, bottom = rng.integers(20, 220, (2, 3)).astype(np.float32)
    down = np.linspace(0, 1, HORIZON)[:, None, None] * (kind != "plain")
    # The console has 32 levels for each colour and dithers between them.
    dither = np.tile([[-4, 0, -3, 1], [2, -2, 3, -1], [-3, 1, -4, 0], [3, -1, 2, -2]], (HORIZON // 4, 512))
    out = np.clip((top + down * (bottom - top) + dither[..., None]) // 8 * 8, 0, 248).astype(np.uint8)
    out = np.broadcast_to(out, busy.shape).copy()
    if kind == "hilly":
        for _ in range(60):
            centre, tall = (int(rng.integers(0, 2048)), HORIZON), int(rng.integers(8, 52))
            cv2.ellipse(
                out, centre, (int(rng.integers(20, 160)), tall), 0, 0, 360, rng.integers(0, 200, 3).tolist(), -1
            )
    if kind == "half":
        out[:, 1024:] = busy[:, 1024:]
    return out


@cache
def track(seed: int) -> Track:
    """Return the track of a number."""
    rng = np.random.default_rng(7000 + seed)
    noise = cv2.resize(rng.random((10, 64, 3), np.float32), (2048, HORIZON + 40), interpolation=cv2.INTER_CUBIC)
    tone = rng.integers(60, 220, 3).astype(np.float32)
    sky = np.clip(tone + (noise - 0.5) * 190, 0, 255).astype(np.uint8)
    for _ in range(90):  # hills, trees, towers
        x, width, top = int(rng.integers(0, 2048)), int(rng.integers(6, 90)), int(rng.integers(0, HORIZON))
        colour = tuple(int(c) for c in rng.integers(0, 256, 3))
        if rng.random() < 0.5:
            cv2.rectangle(sky, (x, top), (x + width, HORIZON + 40), colour, -1)
        else:
            cv2.circle(sky, (x, top), width // 2, colour, -1)
    bends = np.stack([rng.uniform(0.01, 0.05, 3), rng.uniform(0, 6.28, 3), rng.uniform(0.15, 0.4, 3)], 1)
    return Track(sky, rng.integers(30, 220, (4, 3)).astype(np.uint8), bends, rng.integers(0, 256, (64, 4)))


def scene(view: View, look: Look) -> np.ndarray:
    """Draw what is behind the HUD: uint8 RGB (216, 512, 3)."""
    it = track(look.track)
    image = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    turned = int(view.at * 7 + view.offset * 12) % 2048
    image[:HORIZON] = np.take(sky(look.track, look.sky), np.arange(turned, turned + WIDTH) % 2048, axis=1)
    rows = np.arange(HORIZON, HEIGHT)
    depth = 130.0 / (rows - HORIZON + 2.0)  # metres ahead
    curve = it.curve(view.at + 12)
    middle = WIDTH / 2 + curve * depth**2 * 0.16 - view.offset * 90 / depth**0.9
    half = 330.0 / depth**0.95
    away = np.abs(np.arange(WIDTH)[None] - middle[:, None]) / half[:, None]
    band = (np.floor((depth + view.at) / 4).astype(int) % 2)[:, None]
    kind = np.where(away < 1, 2, 0) + band
    kerb = (away > 0.92) & (away < 1.05)
    image[HORIZON:] = it.ground[kind]
    image[HORIZON:][kerb] = (
        np.where(band, (240, 240, 240), (200, 30, 30))
        .astype(np.uint8)[:, None]
        .repeat(WIDTH, 1)
        .reshape(-1, WIDTH, 3)[kerb]
    )
    for number in range(int(view.at // 9) + 5, int(view.at // 9) - 1, -1):  # posts and arches, far ones first
        ahead = number * 9 - view.at
        if ahead < 0.4:
            continue
        colour = tuple(int(c) for c in it.posts[number % 64, :3])
        centre, size = WIDTH / 2 + curve * ahead**2 * 0.16 - view.offset * 90 / ahead**0.9, 330.0 / ahead**0.95
        foot, top = int(HORIZON + 130 / ahead), int(HORIZON - 420 / ahead)
        for side in (-1, 1):
            x, thick = int(centre + side * size * 1.25), max(2, int(60 / ahead))
            cv2.rectangle(image, (x - thick, max(top, -9)), (x + thick, min(foot, HEIGHT)), colour, -1)
        if it.posts[number % 64, 3] < 110:
            beam = (int(centre - size * 1.3), top), (int(centre + size * 1.3), top + max(2, int(110 / ahead)))
            cv2.rectangle(image, *beam, colour, -1)
    lean = 8 * view.steer
    kart = np.array([[232, 196], [238 + lean, 176], [274 + lean, 176], [280, 196]])
    cv2.fillPoly(image, [kart], (30, 60, 200))
    for x in (228, 274):
        cv2.rectangle(image, (x, 186), (x + 10, 202), (20, 20, 20), -1)
    return image


def draw_hud(image: np.ndarray, view: View, look: Look) -> None:
    """Draw the HUD over a scene."""
    gone = 0 if view.since_finish is None else max(0, view.since_finish - 65)
    left = 20 if gone == 0 else 20 - 170 * min(gone, 20) // 20
    if gone < 25:
        write(image, look.label, left, 8, look, ORANGE, small=True)
        write(image, clock_text(view.clock), left, 16, look, ORANGE)
        done = sum(view.lap_times)
        rows = [*view.lap_times, *([view.clock - done] if view.since_finish is None else [])]
        for number, units in enumerate(rows[: view.laps]):
            write(image, f"L{number + 1}", left, 32 + 8 * number, look, RED, small=True)
            write(image, " " + clock_text(units), left + 26, 32 + 8 * number, look, PERIWINKLE, small=True)
    if view.since_finish is None:
        write(image, "LAP", 484 - 3 * (13 * look.letter // 17), 8, look, PERIWINKLE, small=True)
        counter = f"{view.lap}/{view.laps}"
        write(image, counter, 484 - text_width(counter, look.letter, look), 16, look, PERIWINKLE)
    if view.blinks:
        write(
            image, look.wrong, 256 - text_width(look.wrong, look.letter, look) // 2, look.lines // 2 - 30, look, ORANGE
        )
    if view.to_go:
        for lamp in range(3):
            lit = view.to_go <= 30 * (3 - lamp)
            cv2.circle(image, (226 + 30 * lamp, 60), 12, (230, 20, 20) if lit else (60, 10, 10), -1)
    if look.hud == "map":
        points = np.array([[440 + 46 * math.cos(a), 168 + 30 * math.sin(a)] for a in np.linspace(0, 6.28, 40)])
        cv2.polylines(image, [points.astype(np.int32)], True, (250, 250, 250), 2)
        turn = view.at / 50
        cv2.circle(image, (int(440 + 46 * math.cos(turn)), int(168 + 30 * math.sin(turn))), 4, (255, 40, 40), -1)
    else:
        cv2.ellipse(image, (440, 190), (50, 40), 0, 180, 360, (240, 200, 40), 6)
        turn = math.pi * (1 - min(1.0, abs(view.speed) / 20))
        tip = (int(440 + 42 * math.cos(turn)), int(190 - 34 * math.sin(turn)))
        cv2.line(image, (440, 190), tip, (255, 40, 40), 3)
    if view.paused:
        cv2.rectangle(image, (176, 70), (336, 150), (40, 40, 90), -1)
        write(image, "PAUSED", 256 - 51, 84, look, ORANGE)


def frame(view: View, look: Look = Look()) -> np.ndarray:
    """Draw one frame: uint8 RGB (`look.lines`, 512, 3)."""
    image = scene(view, look)
    if look.lines != HEIGHT:
        image = cv2.resize(image, (WIDTH, look.lines), interpolation=cv2.INTER_LINEAR)
    draw_hud(image, view, look)
    return image


# --- the emulator's picture


@dataclass(frozen=True)
class Screen:
    """How an emulator shows the framebuffer in its window.

    `size` is the picture's width and height; `stretch` and `shift` (shares of it) misplace the game in
    it, as overscan and borders do. `smooth` is bilinear filtering, `blur` a Gaussian's sigma, `lines`
    how dark scanlines are, `noise` a sigma of grey values.
    """

    size: tuple[int, int] = (1024, 432)
    stretch: tuple[float, float] = (1.0, 1.0)
    shift: tuple[float, float] = (0.0, 0.0)
    smooth: bool = True
    blur: float = 0.0
    lines: float = 0.0
    noise: float = 0.0


ODD = Screen((880, 400), (1.03, 0.95), (0.01, 0.02), blur=0.6, lines=0.3, noise=8)
"""An odd scale, overscan, soft, with scanlines and noise."""
ODD_LOOK = Look("serif", "map", track=5, slash=11)


def present(image: np.ndarray, screen: Screen, rng: np.random.Generator, rows: float = 1.0) -> np.ndarray:
    """Return what the window shows; below the share `rows` of its height it is left black (to save time)."""
    width, height = screen.size
    drawn = math.ceil(height * rows)
    sx, sy = width / WIDTH * screen.stretch[0], height / len(image) * screen.stretch[1]
    x, y = width * screen.shift[0] + (sx - 1) / 2, height * screen.shift[1] + (sy - 1) / 2
    how = cv2.INTER_LINEAR if screen.smooth else cv2.INTER_NEAREST
    out = np.zeros((height, width, 3), np.uint8)
    part = cv2.warpAffine(image, np.array([[sx, 0, x], [0, sy, y]]), (width, drawn), flags=how)
    if screen.blur:
        part = cv2.GaussianBlur(part, (0, 0), screen.blur)
    if screen.lines and sy > 1:
        dark = (np.arange(drawn) + 0.5) / sy % 1 > 0.5
        part[dark] = cv2.convertScaleAbs(part[dark], alpha=1 - screen.lines)
    if screen.noise:
        grain = _grain(round(screen.noise))
        begin = int(rng.integers(0, len(grain) - part.size))
        cv2.add(part, grain[begin : begin + part.size].reshape(part.shape), part, dtype=cv2.CV_8U)
    out[:drawn] = part
    return out


@cache
def _grain(sigma: int) -> np.ndarray:
    return np.random.default_rng(7).normal(0, sigma, 12_000_000).astype(np.int16)


# --- the game


@dataclass
class Race:
    """The game, a frame at a time: countdown, laps, finish; backwards is the wrong way."""

    laps: int = 3
    lap_m: float = 500.0
    fps: int = 30
    look: Look = field(default_factory=Look)
    view: View = field(default_factory=View)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Begin with the countdown."""
        self.view = View(laps=self.laps, to_go=4 * self.fps)
        self._units = 0.0
        self._far = self._back = 0.0
        self._pages, self._ready = 0, 3 * self.fps

    def step(self, held: frozenset[str] = frozenset(), tapped: frozenset[str] = frozenset()) -> View:
        """Let a frame pass with these controls held; `tapped` are those that went down in it."""
        v, dt = self.view, 1 / self.fps
        if "triangle" in tapped:
            self.look = replace(self.look, hud="speed" if self.look.hud == "map" else "map")
        if v.to_go:
            self.view = replace(v, to_go=v.to_go - 1)
            return self.view
        if v.since_finish is not None:
            if v.since_finish > self._ready and "accelerate" in tapped:  # times, high scores, the menu's first line
                self._pages, self._ready = self._pages + 1, v.since_finish + self.fps
            if self._pages == 3:
                self.restart()
            else:
                speed = v.speed * 0.96
                self.view = replace(v, since_finish=v.since_finish + 1, speed=speed, at=v.at + speed * dt)
            return self.view
        steer = ("right" in held) - ("left" in held)
        grip = 1.0 if abs(v.offset) < 1.0 else 0.4
        gas = 14.0 * ("accelerate" in held) - 24.0 * ("brake" in held)
        speed = float(np.clip(v.speed + (gas - 0.7 * v.speed / grip) * dt, -9.0, 20.0))
        offset = v.offset + (steer * 1.5 - track(self.look.track).curve(v.at) * 0.9) * speed / 20 * dt
        if abs(offset) > 1.6:  # the wall
            offset, speed = math.copysign(1.6, offset), speed * 0.9
        at = v.at + speed * dt
        self._far = max(self._far, at)
        self._units += UNITS * dt
        clock, times = int(self._units), v.lap_times
        v = replace(v, clock=clock, at=at, offset=offset, speed=speed, wrong_way=self._far - at > 5 and speed < 0)
        v = replace(v, steer=steer)
        if at >= self.lap_m * v.lap:
            times = (*times, clock - sum(times))
            over = v.lap == self.laps
            v = replace(v, lap_times=times, lap=min(v.lap + 1, self.laps), since_finish=0 if over else None)
        self.view = v
        return v

    def drive(self) -> frozenset[str]:
        """Return what a driver who keeps to the road would hold now."""
        v = self.view
        wish = v.offset - track(self.look.track).curve(v.at + 3) * 0.7
        return frozenset({"accelerate"} | ({"left"} if wish > 0.15 else {"right"} if wish < -0.15 else set()))


def play(
    race: Race,
    screen: Screen,
    seconds: float,
    seed: int,
    wrong: tuple[tuple[float, float], ...] = (),
    hz: float = 10.0,
    rows: float = 0.52,
    begin_s: float = 1.0,
) -> Iterator[tuple[Frame, View]]:
    """Drive the race and give what a recorder at `hz` would see, with the truth: (Frame, View).

    In the spans of `wrong` (begin and length in seconds) the kart goes backwards. A frame is grabbed up to
    12 ms late, as on a real machine. The picture is drawn down to the share `rows` of its height.
    """
    rng = np.random.default_rng(seed)
    race.view = replace(race.view, to_go=round(begin_s * race.fps))
    due = 0.0
    for n in range(round(seconds * race.fps)):
        back = any(begin <= n / race.fps < begin + length for begin, length in wrong)
        race.step(frozenset({"brake"}) if back else race.drive())
        while due < (n + 1) / race.fps:
            t_ns = round((due + rng.uniform(0, 0.012) + 1 / race.fps) * 1e9)
            yield Frame(present(frame(race.view, race.look), screen, rng, rows), t_ns), race.view
            due += 1 / hz


def main() -> None:
    """Show the window and play by the keyboard."""
    import pygame

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=2.0)
    parser.add_argument("--hud", choices=("map", "speed"), default="map")
    parser.add_argument("--pal", action="store_true", help="25 frames a second instead of 30")
    parser.add_argument("--draw-every", type=int, default=1, help="draw only every so many frames: a slow machine")
    parser.add_argument("--laps", type=int, default=3)
    parser.add_argument("--lap-m", type=float, default=500.0, help="how long a lap is; the kart reaches 20 m/s")
    parser.add_argument("--seed", type=int, default=0, help="which track")
    parser.add_argument("--sky", choices=SKIES, default="busy")
    parser.add_argument("--font", choices=FONTS, default="sans")
    parser.add_argument("--title", default=TITLE)
    parser.add_argument("--auto", action="store_true", help="drive itself where no key is held, race after race")
    parser.add_argument("--seconds", type=float, help="end after so long")
    args = parser.parse_args()
    pygame.display.init()
    size = (round(WIDTH * args.scale), round(HEIGHT * args.scale))
    window = pygame.display.set_mode(size)
    pygame.display.set_caption(args.title)
    race = Race(args.laps, args.lap_m, 25 if args.pal else 30, Look(args.font, args.hud, args.seed, sky=args.sky))
    clock, held, tapped = pygame.time.Clock(), set(), set()
    begun, steps = pygame.time.get_ticks(), 0
    while args.seconds is None or pygame.time.get_ticks() < args.seconds * 1000:
        for event in pygame.event.get():
            if event.type == pygame.QUIT:
                return
            if event.type in (pygame.KEYDOWN, pygame.KEYUP):
                control = KEYS.get(pygame.key.name(event.key))
                if control and event.type == pygame.KEYDOWN:
                    held.add(control)
                    tapped.add(control)
                elif control:
                    held.discard(control)
        # The game keeps to the wall clock, however slow the machine: frames that come late are not drawn.
        while steps <= (pygame.time.get_ticks() - begun) * race.fps // 1000:
            driven = race.drive() if args.auto else frozenset()
            race.step(frozenset(held) or driven, frozenset(tapped) or driven)
            tapped.clear()
            steps += 1
        picture = cv2.resize(frame(race.view, race.look), size, interpolation=cv2.INTER_LINEAR)
        pygame.surfarray.blit_array(window, picture.swapaxes(0, 1))
        pygame.display.flip()
        clock.tick(race.fps / args.draw_every)


if __name__ == "__main__":
    main()
