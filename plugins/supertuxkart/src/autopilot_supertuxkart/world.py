"""A race, in lock-step or in the real game: what differs is where frames come from and where keys go."""

from __future__ import annotations

import math
import random
import time

from autopilot.api import Away, Frame, Reading, UserError, World, WorldRequest, suggest

from autopilot_supertuxkart.arcade import ArcadeDemonstrator, ArcadeReferee
from autopilot_supertuxkart.demonstrator import Demonstrator, DemonstratorPro
from autopilot_supertuxkart.game import RealGame
from autopilot_supertuxkart.hud import HudReader
from autopilot_supertuxkart.line import CentreLine
from autopilot_supertuxkart.recorded import DemonstratorGhost, check_track
from autopilot_supertuxkart.referee import Referee
from autopilot_supertuxkart.simulation import DIFFICULTIES, ENDLESS, Race, Setting, Simulation

GHOST = "demonstrator-ghost"
STREWN_LAPS = 9
"""The game gives a zipper for each lap: not many more than in a race."""
MOST_OPPONENTS = 9
"""No track of the game starts fewer than ten karts."""
SIZE = (480, 270)
"""The screen, of either mode: three times the frames that are recorded, and the digits can be read."""


def open_world(request: WorldRequest) -> World:
    """Open a race. Raises UserError for what a mode cannot do, DeviceError when the game is not there."""
    if request.human and request.lockstep:
        raise UserError("a human plays the real game: leave out --clock lockstep")
    if not request.lockstep:
        return _real_world(request)
    if request.demonstrator == GHOST:
        check_track(request.track)
    strewn = request.mode == "S"
    laps = request.laps or (STREWN_LAPS if strewn else ENDLESS)
    simulation = Simulation(request.track, laps, SIZE, Setting(seed=request.seed))
    race = Race(simulation, request.hz, request.seed)
    if strewn:
        race = Strewn(simulation, request.hz, request.seed)
    return World(
        source=race,
        device=race,
        clock=race,
        reader=race,
        referee=Referee(simulation, request.laps, 1 / request.hz),
        demonstrator=_demonstrator(request, simulation),
    )


def open_arcade(request: WorldRequest, opponents: int, difficulty: str) -> World:
    """Open a race against the game's own drivers.

    Raises UserError for too many of them and an unknown difficulty, DeviceError as `Simulation`.
    """
    if request.human:
        raise UserError("nobody can play Arcade yet, which runs in lock-step: leave it to a demonstrator or a network")
    if not 1 <= opponents <= MOST_OPPONENTS:
        raise UserError(f"opponents={opponents}: give 1 to {MOST_OPPONENTS}")
    if difficulty not in DIFFICULTIES:
        raise UserError(f"difficulty={difficulty}: {suggest(difficulty, DIFFICULTIES)}")
    setting = Setting(request.seed, opponents, DIFFICULTIES.index(difficulty))
    simulation = Simulation(request.track, request.laps or ENDLESS, SIZE, setting)
    race = Race(simulation, request.hz, request.seed)
    referee = ArcadeReferee(simulation, request.laps, 1 / request.hz)
    driver = DemonstratorPro if request.demonstrator == "demonstrator-pro" else ArcadeDemonstrator
    return World(source=race, device=race, clock=race, reader=race, referee=referee, demonstrator=driver(simulation))


def _demonstrator(request: WorldRequest, simulation: Simulation) -> Demonstrator:
    if request.demonstrator == GHOST:
        return DemonstratorGhost(simulation, request.track)
    return (DemonstratorPro if request.demonstrator == "demonstrator-pro" else Demonstrator)(simulation)


def _real_world(request: WorldRequest) -> World:
    """Start the installed game, unless it runs; core brings the screen, the keyboard and the wall clock."""
    if request.mode == "S":
        raise UserError("mode S is for lock-step: the real game's kart cannot be put anywhere")
    if request.running:
        return World(hud=HudReader() if request.human else Starter())
    game = RealGame(request.track, request.laps or ENDLESS, SIZE)
    try:
        game.wait_until_racing()
    except BaseException:
        game.close()
        raise
    return World(hud=HudReader() if request.human else Starter(game), on_close=game.close)


class Starter(HudReader):
    """Reads the race from its start on: until the game's countdown is over, nobody may press anything.

    Who accelerates too early is punished by the game.
    """

    PATIENCE_S = 30.0

    def __init__(self, game: RealGame | None = None) -> None:
        super().__init__()
        self._game = game
        self._since = time.monotonic()
        self._begun = False

    def read(self, frame: Frame) -> Reading:
        """Read one frame. Raises Away before the start, DeviceError when the game has ended by itself."""
        if self._game is not None:
            self._game.check()
        reading = super().read(frame)
        if not self._begun and reading.race_time_s is None and time.monotonic() - self._since < self.PATIENCE_S:
            raise Away("the race has not begun")
        self._begun = True
        return reading


class Strewn(Race):
    """A race in which the kart is put somewhere every few seconds: off the line, against a wall, facing wrong."""

    EVERY_S = 6.0

    def __init__(self, simulation: Simulation, hz: float, seed: int) -> None:
        super().__init__(simulation, hz, seed)
        self._line = CentreLine(simulation.track)
        self._random = random.Random(seed)
        self._every = max(1, round(self.EVERY_S * hz))
        self._count = 0

    def tick(self) -> None:
        """Let the time of one decision pass, perhaps from somewhere else."""
        place = self._place() if self._count % self._every == 0 else None
        self._count += 1
        self.simulation.step(self._held, self._ticks, place)

    def _place(self) -> tuple[list[float], list[float], float]:
        draw = self._random
        down_track = draw.uniform(0, self._line.length)
        x, y, z = self._line.point(down_track)
        ahead = self._line.direction(down_track)
        off = draw.uniform(-0.55, 0.55) * self._line.width(down_track)
        turn = ahead + draw.choice((draw.gauss(0, 0.4), draw.gauss(0, 0.4), draw.uniform(-math.pi, math.pi)))
        x, z = x + off * math.cos(ahead), z - off * math.sin(ahead)
        speed = draw.choice((0.0, draw.uniform(0, 20)))
        return [x, y + 0.5, z], [0.0, math.sin(turn / 2), 0.0, math.cos(turn / 2)], speed
