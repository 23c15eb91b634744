"""All that a plugin imports: the vocabulary as data, descriptors, interfaces, hooks, errors, the registry."""

# fmt: off
# A name a line would be 150 of them; `__all__` tells an outsider's type checker that these are offered.
from autopilot.api.analogue import level_of, levels, nearest_level, split_level
from autopilot.api.errors import (
    AutopilotError, Away, BundleError, DeviceError, PluginError, SessionError, UserError, suggest,
)
from autopilot.api.files import patiently
from autopilot.api.game import Game
from autopilot.api.hookspecs import API_VERSION, GROUP, hookimpl
from autopilot.api.interfaces import (
    Backend, Clock, Demonstrator, FrameSource, HudReader, LabelMap, OutputDevice, Reader, Referee, Trial, World,
)
from autopilot.api.labels import MOST_ACTIONS, Choice, ChoiceAxis, ChoiceLabelMap, check_label_map, held_by, level_axis
from autopilot.api.registry import KINDS, Fault, Plugin, Registry, versions
from autopilot.api.specs import (
    SOME, CheckSpec, ClockName, CommandSpec, DeviceSpec, EngineSpec, FrameSourceSpec, GameSpec, HudSpec, LabelMapSpec,
    ModelSpec, Pattern, Pixels, Program, RaceSpec, RaceText, Recovery, Reference, ScreenSpec, SimulatorSpec,
    SteerCorrection, Target, Tracks, ZooSpec, load,
)
from autopilot.api.types import (
    NOTHING, Action, ActionSpace, Axis, Bindings, Box, Decision, Frame, Held, Image, Manoeuvre, Must, Positive, Probe,
    Reading, Rectangle, SourceSettings, Step, Window, WorldRequest,
)

__all__ = [
    "API_VERSION", "GROUP", "KINDS", "MOST_ACTIONS", "NOTHING", "SOME", "Action", "ActionSpace", "AutopilotError",
    "Away", "Axis", "Backend", "Bindings", "Box", "BundleError", "CheckSpec", "Choice", "ChoiceAxis", "ChoiceLabelMap",
    "Clock", "ClockName", "CommandSpec", "Decision", "Demonstrator", "DeviceError", "DeviceSpec", "EngineSpec",
    "Fault", "Frame", "FrameSource", "FrameSourceSpec", "Game", "GameSpec", "Held", "HudReader", "HudSpec", "Image",
    "LabelMap", "LabelMapSpec", "Manoeuvre", "ModelSpec", "Must", "OutputDevice", "Pattern", "Pixels", "Plugin",
    "PluginError", "Positive", "Probe", "Program", "RaceSpec", "RaceText", "Reader", "Reading", "Recovery",
    "Rectangle", "Referee", "Reference", "Registry", "ScreenSpec", "SessionError", "SimulatorSpec", "SourceSettings",
    "SteerCorrection", "Step", "Target", "Tracks", "Trial", "UserError", "Window", "World", "WorldRequest",
    "ZooSpec", "check_label_map", "held_by", "hookimpl", "level_axis", "level_of", "levels", "load", "nearest_level",
    "patiently", "split_level", "suggest", "versions",
]
