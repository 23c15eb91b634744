"""One episode of an environment as a world: frame source, output device, clock, referee and demonstrator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autopilot.api import (
    NOTHING,
    Choice,
    ChoiceAxis,
    ChoiceLabelMap,
    Frame,
    Held,
    Reading,
    UserError,
    World,
    WorldRequest,
    load,
)

from autopilot_gymnasium.descriptor import Descriptor
from autopilot_gymnasium.environment import Environment, check_actions, make_environment, picture_of

OPPOSITES = (("left", "right"), ("up", "down"))


def make_label_map(descriptor: Descriptor | None = None, fault: str = "") -> ChoiceLabelMap:
    """Return one axis, whose values are the actions; what holds more controls is more specific.

    Opposites that no action holds together are a contradiction, a frame to skip. Where left and right are controls,
    actions that differ by them alone swap in the mirror. Raises UserError for the fault of a file.
    """
    if descriptor is None:
        raise UserError(fault)
    held = descriptor.held
    values = {controls: "+".join(descriptor.actions[number]) or "nothing" for number, controls in held.items()}
    mirror = {values[c]: values[_mirrored(c)] for c in values if _mirrored(c) in values}
    choices = [Choice(name, controls) for controls, name in values.items()]
    conflicts = [
        pair
        for pair in map(frozenset, OPPOSITES)
        if pair <= {*descriptor.controls} and not any(pair <= c for c in values)
    ]
    if NOTHING not in values:  # rest is what holds least
        first = min(choices, key=lambda choice: len(choice.controls))
        choices[choices.index(first)] = Choice(first.value, first.controls, also=(NOTHING,))
    return ChoiceLabelMap([ChoiceAxis("action", choices, mirror=mirror, conflicts=conflicts)])


def _mirrored(held: Held) -> Held:
    swap = {"left": "right", "right": "left"}
    return frozenset(swap.get(control, control) for control in held)


class Episode:
    """An episode, begun: gives frames, holds controls, and steps the environment at each tick.

    The score is the sum of the rewards. It is over when the environment ends or truncates it, or after the
    descriptor's `seconds`.
    """

    lockstep = True

    def __init__(self, env: Environment, descriptor: Descriptor, seed: int, hz: float) -> None:
        self.env, self._descriptor, self._hz = env, descriptor, hz
        self._picture = picture_of(env, descriptor.id, descriptor.picture)
        self._observation, _ = env.reset(seed=seed)
        self._labels = make_label_map(descriptor)
        self._numbers = list(descriptor.actions)
        self._last = round(descriptor.seconds * hz)
        self._held: Held = NOTHING
        self._frame: Frame | None = None
        self.count, self.score, self.over = 0, 0.0, False

    def read(self) -> Frame:
        """Return the picture as it is now, uint8 RGB (H, W, 3); `t_ns` is game time."""
        if self._frame is None:
            self._frame = Frame(self._picture(self._observation), round(self.count * 1e9 / self._hz))
        return self._frame

    def hold(self, controls: Held) -> None:
        """Hold exactly these controls from the next tick on."""
        self._held = controls

    def release_all(self) -> None:
        """Let go of everything."""
        self._held = NOTHING

    def close(self) -> None:
        """Let go of everything; closing the environment is the world's affair."""
        self.release_all()

    def tick(self) -> None:
        """Let one decision's steps pass with the action that what is held means; nothing happens after the end."""
        number = self._number()
        for _ in range(self._descriptor.steps):
            if self.over:
                return
            self._observation, reward, terminated, truncated, _ = self.env.step(number)
            self.score += float(reward)
            self.over = bool(terminated or truncated)
        self.count += 1
        self._frame = None
        self.over |= self.count >= self._last

    def _number(self) -> int:
        """Return the action's number; of a contradiction, the action that the rest of what is held means."""
        action = self._labels.action(self._held)
        if action is None:
            rest = self._held.difference(*(pair for pair in OPPOSITES if self._held.issuperset(pair)))
            action = self._labels.action(rest) or (0,)
        return self._numbers[action[0]]

    def reading(self) -> Reading:
        """Return the current race state."""
        return Reading(race_time_s=self.count / self._hz, finished=self.over, score=self.score)


class Script:
    """A scripted driver: a function of the picture and the environment."""

    def __init__(self, drive: Callable[[Any, Environment], Any], episode: Episode) -> None:
        self._drive, self._episode = drive, episode

    def decide(self) -> Held:
        """Return the controls that it would hold now."""
        return frozenset(self._drive(self._episode.read().image, self._episode.env.unwrapped))


def open_world(request: WorldRequest, descriptor: Descriptor | None = None, fault: str = "") -> World:
    """Begin an episode; `request.track` is its seed. Raises UserError where the environment does not fit."""
    if descriptor is None:
        raise UserError(fault)
    if request.hz != descriptor.hz:
        raise UserError(
            f"{descriptor.name} takes {descriptor.hz:g} decisions a second, not {request.hz:g}: change its hz"
        )
    env = make_environment(descriptor.id, descriptor.options)
    try:
        check_actions(env, descriptor.id, descriptor.actions)
        episode = Episode(env, descriptor, int(request.track), request.hz)
        height, width, _ = episode.read().image.shape
        across, down = descriptor.frame_size
        if (height - width) * (down - across) < 0:
            raise UserError(
                f"{descriptor.name}: frame_size is {across}x{down}, and the picture {width}x{height}: turn it"
            )
        script = Script(load(descriptor.demonstrator), episode) if descriptor.demonstrator else None
    except BaseException:
        env.close()
        raise
    return World(
        source=episode, device=episode, clock=episode, referee=episode, demonstrator=script, on_close=env.close
    )
