"""A world in lock-step that its caller drives: held controls in, the next frame out."""

from __future__ import annotations

from collections.abc import Collection

from autopilot.api.errors import DeviceError, UserError
from autopilot.api.types import Frame, Held, Reading, WorldRequest
from autopilot.drive.world import Worlds


class SteppedWorld:
    """A race of a game that waits for each decision. The first frame is there at once; `step` makes the next.

    `frame` is what the caller sees now, at the size that is recorded: uint8 RGB (H, W, 3). `reading` is what the
    referee says of it, None where there is none, `over` whether the race is; `request` says which race it is.

    Raises UserError for a game, or a choice of devices, by which the game waits for nobody, and as `Worlds.open`.
    """

    def __init__(self, worlds: Worlds, request: WorldRequest) -> None:
        self.game, self.request, self._size = worlds.game, request, worlds.game.spec.frame_size
        waits_not = f"{self.game.spec.name} runs in real time and waits for no step: drive it as a whole"
        if not worlds.lockstep():
            raise UserError(waits_not)
        self._world = worlds.open(request)
        self.closed = self.over = False
        self.reading: Reading | None = None
        try:
            if not self._world.clock.lockstep:
                raise UserError(waits_not)
            self._look()
            if self.over:
                raise DeviceError(f"{self.game.spec.name} gave no picture")
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> SteppedWorld:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _look(self) -> None:
        try:
            self.frame: Frame = self._world.read(self._size)[0]
        except EOFError:
            self.over = True
            return
        self.reading = self._world.referee.reading() if self._world.referee else None
        self.over = self.reading is not None and self.reading.finished

    def step(self, held: Collection[str]) -> Frame:
        """Hold exactly these controls for one decision's time, and return the frame after it.

        At the end of what a source has to show, the last frame again. Raises UserError for a control that the game
        does not have, and once the race is over or the world closed.
        """
        self._check_open()
        if self.over:
            raise UserError("the race is over: open another world")
        controls = self.game.spec.controls
        if isinstance(held, str) or not set(held) <= set(controls):
            raise UserError(f"{self.game.spec.name} holds no {held!r}: give a set of {', '.join(controls)}")
        self._world.device.hold(frozenset(held))
        self._world.clock.tick()
        self._look()
        return self.frame

    def demonstration(self) -> Held:
        """Return what the game's demonstrator would hold now; raises UserError where there is none."""
        self._check_open()
        if self._world.demonstrator is None:
            raise UserError(f"{self.game.spec.name} has no {self.request.demonstrator} in lock-step")
        return self._world.demonstrator.decide()

    def _check_open(self) -> None:
        if self.closed:
            raise UserError("this world was closed: open another one")

    def close(self) -> None:
        """Let go of everything and give the game back. Calling it twice is harmless."""
        if not self.closed:
            self.closed = True
            self._world.close()
