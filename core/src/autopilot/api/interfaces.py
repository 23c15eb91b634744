"""What plugins implement: frame sources, devices, label maps, worlds. Structural, no base class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from autopilot.api.types import Action, ActionSpace, Frame, Held, Reading


class FrameSource(Protocol):
    """Gives frames: a screen region, a video file, a simulator.

    A film plays in real time, its frames at their own times. A source with a method `skip(seconds)` is advanced by
    that method alone, where nobody has to wait for real time.
    """

    def read(self) -> Frame:
        """Return the newest frame, uint8 RGB (H, W, 3) at native resolution, all of one shape.

        Raises EOFError when there are no more frames; Away, with the reason, while the game is not
        visible or does not have the focus (the loop releases everything and reads again); DeviceError
        when the screen is gone.
        """

    def close(self) -> None:
        """Release the screen; may be called twice."""


class OutputDevice(Protocol):
    """Holds controls down on behalf of the policy: a keyboard, a gamepad, a simulator."""

    def hold(self, controls: Held) -> None:
        """Hold exactly these controls; idempotent, sends only differences."""

    def release_all(self) -> None:
        """Release all controls."""

    def close(self) -> None:
        """Release all controls and the device; may be called twice."""


class Backend(Protocol):
    """Presses keys or buttons by name; it exists in the emitter's process only.

    A stick or trigger has a name for each level, such as `left_x:-0.6`: to press it is to move the stick there, to
    release it is to let go. Of a stick that moves on, the old level is released and the new one pressed before `flush`.

    `press` and `release` may be deferred until `flush`, which returns when the system has accepted them.
    Releasing what is not down does nothing. Exceptions of a driver need not be caught: their text is shown to
    the user in one line. Its output goes to standard error; a call that takes more than a second
    ends the process.
    """

    sticky: bool
    """Whether keys stay down when the process that pressed them is killed."""

    devices: tuple[str, ...]
    """Paths, or other system names, of the virtual devices that it created."""

    def press(self, name: str) -> None:
        """Press a key or button that is not down."""

    def release(self, name: str) -> None:
        """Release a key or button."""

    def flush(self) -> None:
        """Send all deferred presses and releases."""

    def close(self) -> None:
        """Release the device; all keys have been released before."""


class Reader(Protocol):
    """Reads what the human holds.

    One that has a method `show(image)` too is a window: it is shown each frame, as large as the source gives it.
    """

    def held(self) -> Held:
        """Return the controls that the human holds now."""

    def hotkeys(self) -> tuple[str, ...]:
        """Return the hotkeys pressed since the last call: of `pause`, `save`, `quit`, `discard` and `panic`."""

    def close(self) -> None:
        """Stop listening; may be called twice."""


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
    """Reports lap times and incidents. Its readings never reach the policy."""

    def reading(self) -> Reading:
        """Return the current state of the race."""


class HudReader(Protocol):
    """Reads the current state of the race from the screen: the referee of a game that has only pixels."""

    def read(self, frame: Frame) -> Reading:
        """Read the next frame of a race, at native resolution; a wrong reading is worse than none."""


class Demonstrator(Protocol):
    """A scripted driver that may read the simulator's state.

    One with a method `decide_after(plan)` also foresees what it would hold once a `Manoeuvre` was carried out.
    """

    def decide(self) -> Held:
        """Return the controls that it would hold now."""


@dataclass(frozen=True)
class Trial:
    """What `doctor` presses to try a device: the name of a harmless key or button.

    `arrived(down)`, if the device has a window to press into, says whether the press (True) or
    release has arrived there since the trial began.
    """

    name: str
    arrived: Callable[[bool], bool] | None = None


@dataclass
class World:
    """One race, opened: the parts that the loop joins together.

    A game leaves out what it does not have; core then creates `source`, `device` and `reader` from
    the frame source and devices that the game names, and `clock` as the wall clock. With a `hud`
    reader, which gets every frame, it needs no `referee`.
    """

    source: FrameSource | None = None
    device: OutputDevice | None = None
    clock: Clock | None = None
    reader: Reader | None = None
    referee: Referee | None = None
    hud: HudReader | None = None
    demonstrator: Demonstrator | None = None
    on_close: Callable[[], None] | None = None
