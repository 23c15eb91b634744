"""The hooks a plugin may implement: the whole extension surface, in the order they fire.

A plugin is a module named by an entry point in the group `autopilot.plugins`. It sets
`AUTOPILOT_API = 2` and implements any of these functions under `@hookimpl`. All of them return a list of
frozen descriptors from `autopilot.api.specs`, and must be cheap: no game, screen, driver or network library may
be imported by them. A hook's arguments may be left out: nearly all plugins know what they offer without.

An exception raised in a hook, or a descriptor with a wrong value, is reported under the plugin's name; the
plugin is left out of that list and everything else goes on.
"""

from __future__ import annotations

from pathlib import Path

import pluggy

from autopilot.api.specs import (
    CheckSpec,
    CommandSpec,
    DeviceSpec,
    EngineSpec,
    FrameSourceSpec,
    GameSpec,
    LabelMapSpec,
    ModelSpec,
    ZooSpec,
)

API_VERSION = 2
"""The version of this page. A plugin built for another is reported and left out."""

GROUP = "autopilot.plugins"
"""The entry-point group in which plugins are found."""

hookspec = pluggy.HookspecMarker("autopilot")
hookimpl = pluggy.HookimplMarker("autopilot")


@hookspec
def autopilot_commands() -> list[CommandSpec]:  # type: ignore[empty-body]
    """Commands to add to the command line.

    Fires when the command line lists or looks up a command. A name that core uses is refused, and reported. A name
    `plugins NAME` puts a command below `autopilot plugins`.
    """


@hookspec
def autopilot_games(home: Path | None) -> list[GameSpec]:  # type: ignore[empty-body]
    """Games that can be recorded, driven and raced.

    `home` is the user's folder, in which descriptions of further games may lie; None: there is none.

    Fires when a game is looked up or listed. `open_world` is imported when a race is opened; it
    must return a `World` whose source gives uint8 RGB (H, W, 3) frames, or raise a `UserError`
    that says what is missing and how to get it.
    """


@hookspec
def autopilot_label_maps(home: Path | None) -> list[LabelMapSpec]:  # type: ignore[empty-body]
    """Label maps: what held controls mean to a network. `home` is as for games.

    Fires when a session is recorded, trained on or driven. `make` must return a `LabelMap` with
    `action(held(a)) == a` for every action.
    """


@hookspec
def autopilot_frame_sources() -> list[FrameSourceSpec]:  # type: ignore[empty-body]
    """Frame sources for games that are played on the screen.

    Fires when such a game is opened. `open` must return a `FrameSource` whose `read` gives the
    newest frame without waiting for more than one of them, or raise `DeviceError`.
    """


@hookspec
def autopilot_devices() -> list[DeviceSpec]:  # type: ignore[empty-body]
    """Devices: an emitter that presses for the policy, a reader of what the human holds.

    Fires when a game is opened. The emitter must release everything when it is closed or its
    process ends; the reader must not report what the emitter pressed.
    """


@hookspec
def autopilot_models() -> list[ModelSpec]:  # type: ignore[empty-body]
    """Networks.

    Fires when one is trained or loaded. `build` must return a `flax.nnx.Module` that maps float32
    images (N, H, W, 3) in 0..255 to one array of logits (N, size) per axis of the action space.
    """


@hookspec
def autopilot_checks() -> list[CheckSpec]:  # type: ignore[empty-body]
    """Checks of recorded sessions.

    Fires when a training has chosen its sessions, before its first step, unless the user said `--no-check`.
    """


@hookspec
def autopilot_engines() -> list[EngineSpec]:  # type: ignore[empty-body]
    """Engines that compute a trained network.

    Fires when a bundle is driven with `--engine NAME`, or exported for one. `accelerate` must refuse to compute other
    probabilities than JAX.
    """


@hookspec
def autopilot_zoos() -> list[ZooSpec]:  # type: ignore[empty-body]
    """Ready-trained bundles.

    Fires when bundles are listed, and when one is wanted that the user does not have. It is copied into the home then.
    """
