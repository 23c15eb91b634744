"""Frozen descriptors of what a plugin provides.

They hold import strings (`package.module:attribute`), so that listing plugins imports nothing
heavy; `load` follows one when the thing is used.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


def load(target: str) -> Any:
    """Import what `package.module:attribute` names.

    Raises ImportError when the module, and AttributeError when the attribute is missing.
    """
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


@dataclass(frozen=True, slots=True)
class GameSpec:
    """A game.

    `open_world` imports a function `(WorldRequest) -> World`; a game without one is played on the
    screen, and core joins `frame_source`, `device` and `reader`. `tracks` are names that a user
    may give (empty: any that `track_pattern` matches); `aliases` maps other spellings to them.
    `bindings[device][profile]` maps controls to keys, the first profile being the default;
    `hotkeys` does so for `pause`, `save` and `quit`. Frames are recorded as `frame_size`
    (width, height).
    """

    name: str
    title: str
    controls: tuple[str, ...]
    label_map: str
    hz: float = 10.0
    frame_size: tuple[int, int] = (160, 90)
    open_world: str | None = None
    frame_source: str | None = None
    device: str | None = None
    reader: str | None = None
    tracks: tuple[str, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)
    track_pattern: str | None = None
    track_help: str = ""
    modes: Mapping[str, str] = field(default_factory=lambda: {"N": "normal"})
    bindings: Mapping[str, Mapping[str, Mapping[str, str]]] = field(default_factory=dict)
    hotkeys: Mapping[str, str] = field(default_factory=dict)
    demonstrator: bool = False
    referee: bool = False
    lap_limit_s: float = 300.0


@dataclass(frozen=True, slots=True)
class FrameSourceSpec:
    """A frame source: `open` imports `(SourceSettings) -> FrameSource`, `probe` `() -> [Probe]`."""

    name: str
    title: str
    open: str
    probe: str | None = None


@dataclass(frozen=True, slots=True)
class LabelMapSpec:
    """A label map of one game: `make` imports `() -> LabelMap`."""

    name: str
    title: str
    game: str
    make: str


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A network: `build` imports `(height, width, outputs, rngs, **config) -> flax.nnx.Module`.

    `outputs` is the size of each axis. The module is called with images (N, H, W, 3), float32 in
    0..255, and returns one array of logits (N, size) per axis. It may also have a method
    `training_logits(images) -> list[tuple[float, tuple[Array, ...]]]`: weighted heads for the
    loss, the main one included. `config` holds its parameters with their defaults, `learning_rate`
    is the peak of Adam's that suits it. `build` must work under `nnx.eval_shape`.
    """

    name: str
    title: str
    build: str
    config: Mapping[str, Any] = field(default_factory=dict)
    learning_rate: float = 1e-3


@dataclass(frozen=True, slots=True)
class DeviceSpec:
    """A device, with two ends, either of which may be missing.

    `emitter` imports `(Bindings) -> OutputDevice`; `reader` imports
    `(Bindings, hotkeys: Bindings) -> Reader`; `probe` imports `() -> list[Probe]`.
    """

    name: str
    title: str
    emitter: str | None = None
    reader: str | None = None
    probe: str | None = None


@dataclass(frozen=True, slots=True)
class CommandSpec:
    """A command of the command line: `command` imports a `click.Command`."""

    name: str
    help: str
    command: str
