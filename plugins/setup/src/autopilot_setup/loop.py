"""How quick a game on the screen is here: the lag of its loop, its speed, and that with a network beside it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from autopilot.api import Away, Game, GameSpec, Image, Probe, UserError
from autopilot.bundle.frames import rescale
from autopilot.desktop.desktop import Desktop, DeviceChoice
from autopilot.drive.world import WallClock
from autopilot.sessions.home import Home

from autopilot_setup.doctor import NoAnswer
from autopilot_setup.lag import Lag, Sitting, measure
from autopilot_setup.storing import store_lag

if TYPE_CHECKING:
    from autopilot.commands.asking import NamedPolicy

SPEED_S = 4.0
"""How long pictures are counted."""
SLOWED = 0.95
"""A game that shows less than this share of its pictures with a network beside it is slowed down by that."""


@dataclass(frozen=True)
class Speed:
    """New pictures a second: alone, and while `network` decides, a decision in the median taking `decision_ms`."""

    alone: float
    beside: float | None = None
    network: str | None = None
    decision_ms: float | None = None


@dataclass(frozen=True)
class Loop:
    """What was measured; `rows` is the lag in rows at the game's rate `hz`, None where it is not sure."""

    lag: Lag
    rows: int | None
    hz: float
    speed: Speed

    def probes(self) -> list[Probe]:
        """Return it as doctor's parts are told."""
        lag, speed = self.lag, self.speed
        if lag.ms is None:
            fix = "show a race in which the car can be steered, close what keeps the machine busy, and try again"
            yes: Probe = NoAnswer("lag of the loop", False, f"not sure: {lag.doubt}", fix)
        else:
            detail = f"{lag.ms:.0f} ms from a key to its effect in the picture ({lag.low_ms:.0f} to {lag.high_ms:.0f}, "
            detail += f"{lag.seen} of {lag.changes} changes): row {self.rows} after the key's at {self.hz:g} Hz"
            yes = Probe("lag of the loop", True, detail, "kept: `autopilot train` offers it to --label-shift")
        detail, fix = f"{speed.alone:.0f} new pictures a second", ""
        if speed.beside is None:
            detail += "; with a network beside it once there is a bundle"
        else:
            detail += f", {speed.beside:.0f} with {speed.network} beside it ({speed.decision_ms:.0f} ms a decision)"
            if speed.beside < SLOWED * speed.alone:
                fix = "the network takes the game's time: a smaller one, --engine onnx, or a lower --hz"
        return [yes, Probe("speed of the game", True, detail, fix)]


def check_on_screen(spec: GameSpec) -> None:
    """Raise UserError for a game that is not played on the screen."""
    if spec.simulator is not None or spec.screen is None or spec.screen.frame_source is None:
        raise UserError(f"{spec.name} is no game on the screen: its loop has no lag to measure")


def measure_loop(
    game: Game, home: Home, devices: DeviceChoice, policy: NamedPolicy | None, say: Callable[[str], None]
) -> Loop:
    """Measure a game on the screen by pressing its keys, and keep a lag that is sure as the user's.

    `policy` is the network that decides beside the game. Raises UserError for a game that is not played on the
    screen, or when the human stops it; DeviceError as the source and the device do.
    """
    spec = game.spec
    check_on_screen(spec)
    desktop = Desktop(game, home, devices)
    lag = measure(desktop, spec.controls, say)
    say(f"counting its pictures for {SPEED_S:.0f} s: leave the race on" + " twice" * (policy is not None))
    with closing(Sitting(desktop.open_source(), lambda: False, say)) as source:
        speed = Speed(round(_pictures_a_second(source, [None]), 1))
        if policy is not None:
            speed = _beside(source, policy, speed.alone)
    if lag.ms is not None:
        store_lag(home.bindings, spec.name, lag.ms)
    return Loop(lag, None if lag.ms is None else lag.rows(spec.hz), spec.hz, speed)


def _pictures_a_second(source: Sitting, newest: list[Image | None]) -> float:
    """Count the pictures that differ from the one before; `newest` is where the last one is put."""
    changes, passed, before = 0, 0.0, time.monotonic()
    while passed < SPEED_S:
        time.sleep(0.002)
        try:
            image = source.read().image
        except Away:
            newest[0] = None
        else:
            now, last = time.monotonic(), newest[0]
            if last is not None:
                passed += now - before
                changes += not np.array_equal(last, image)
            newest[0], before = image, now
    return changes / passed


def _beside(source: Sitting, policy: NamedPolicy, alone: float) -> Speed:
    """Count while the network decides at its rate on what is shown, as in a drive."""
    newest: list[Image | None] = [None]
    took: list[float] = []
    over = threading.Event()
    height, width, _ = policy.image_shape
    policy.decide(np.zeros(policy.image_shape, np.uint8))  # compiles

    def decide() -> None:
        clock = WallClock(policy.manifest.hz)
        while not over.is_set():
            if (image := newest[0]) is not None:
                begun = time.monotonic()
                policy.decide(rescale(image, (width, height)))
                took.append(time.monotonic() - begun)
            clock.tick()

    thread = threading.Thread(target=decide, name="network beside the game", daemon=True)
    thread.start()
    try:
        beside = _pictures_a_second(source, newest)
    finally:
        over.set()
        thread.join()
    return Speed(alone, round(beside, 1), policy.name, round(1e3 * float(np.median(took or [0.0])), 1))
