"""What plugins implement: frame sources, devices, label maps, worlds. Structural, no base class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from autopilot.api.types import Action, ActionSpace, Frame, Held, Reading


class FrameSource(Protocol):
    """Gives frames: a screen region, a video file, a simulator.

    What was filmed before plays in real time, its frames at their own times. One that has a method
    `skip(seconds)` too is then moved on by this alone, so that nobody need wait for it.
    """

    def read(self) -> Frame:
        """Return the newest frame, uint8 RGB (H, W, 3) at native resolution, all of one shape.

        Raises EOFError when there will be no more, Away, with the reason, while the game cannot be
        seen or has not the focus (the loop lets go of everything and asks again), and DeviceError
        when the screen is gone.
        """

    def close(self) -> None:
        """Give the screen back. Calling it twice is harmless."""


class OutputDevice(Protocol):
    """Holds controls down on behalf of the policy: a keyboard, a gamepad, a simulator."""

    def hold(self, controls: Held) -> None:
        """Make exactly these controls held; idempotent, sends only differences."""

    def release_all(self) -> None:
        """Let go of everything."""

    def close(self) -> None:
        """Release everything and give the device back. Calling it twice is harmless."""


class Backend(Protocol):
    """Presses keys or buttons by name; it lives in the emitter's process and in no other.

    A stick or trigger has a name for each level, such as `left_x:-0.6`: to press it is to move the stick there, to
    release it is to let go. Of a stick that moves on, the old level is released and the new one pressed before `flush`.

    `press` and `release` may wait for `flush`, which returns when the system has taken them.
    Releasing what is not down does nothing. A driver's exceptions may pass: their text reaches
    the user in one line. What it prints goes to standard error; a call that takes over a second
    ends the process.
    """

    sticky: bool
    """Whether the system keeps down what a process pressed that was killed."""

    devices: tuple[str, ...]
    """Paths, or the system's other names, of the virtual devices that it plugged in."""

    def press(self, name: str) -> None:
        """Press what is not down."""

    def release(self, name: str) -> None:
        """Release it."""

    def flush(self) -> None:
        """Send what `press` and `release` left."""

    def close(self) -> None:
        """Give the device back, everything being released."""


class Reader(Protocol):
    """Reads what the human holds."""

    def held(self) -> Held:
        """Return the controls that the human holds now."""

    def hotkeys(self) -> tuple[str, ...]:
        """Return the hotkeys pressed since the last call: of `pause`, `save`, `quit`, `discard` and `panic`."""

    def close(self) -> None:
        """Stop listening. Calling it twice is harmless."""


class LabelMap(Protocol):
    """Translates between what is held and what a network learns."""

    @property
    def action_space(self) -> ActionSpace:
        """The axes that the network decides on."""

    def action(self, held: Held) -> Action | None:
        """Return the label of a frame, or None for a frame that training must skip."""

    def held(self, action: Action) -> Held:
        """Return the controls to hold for an action; `action(held(a)) == a` for every a."""


class Clock(Protocol):
    """Paces the loop: wall clock at a rate, or lock-step with a simulator."""

    @property
    def lockstep(self) -> bool:
        """Whether the game waits for the decision."""

    def tick(self) -> None:
        """Let one decision period pass: sleep until the next is due, or step the simulator."""


class Referee(Protocol):
    """Says lap times and incidents. Nothing that it says reaches the policy."""

    def reading(self) -> Reading:
        """Return the current state of the race."""


class HudReader(Protocol):
    """Reads the current state of the race from the screen: the referee of a game that has only pixels."""

    def read(self, frame: Frame) -> Reading:
        """Take in the next frame of a race, at native resolution; a wrong reading is worse than none."""


class Demonstrator(Protocol):
    """A scripted driver that may read the simulator's state."""

    def decide(self) -> Held:
        """Return the controls that it would hold now."""


@dataclass(frozen=True)
class Trial:
    """What `doctor` presses to try a device: the name of a harmless key or button.

    `arrived(down)`, where the device has a window to press into, says whether the press (True) or
    release of it has come there since the trial began.
    """

    name: str
    arrived: Callable[[bool], bool] | None = None


@dataclass
class World:
    """One race, opened: the parts that the loop joins together.

    A game leaves out what it does not have; core then fills `source`, `device` and `reader` from
    the frame source and devices that the game names, and `clock` with the wall clock. With a `hud`
    reader, which is shown every frame, it needs no `referee`.
    """

    source: FrameSource | None = None
    device: OutputDevice | None = None
    clock: Clock | None = None
    reader: Reader | None = None
    referee: Referee | None = None
    hud: HudReader | None = None
    demonstrator: Demonstrator | None = None
    on_close: Callable[[], None] | None = None
