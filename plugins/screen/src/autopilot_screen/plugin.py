"""What this plugin provides: the frame sources that every screen game shares."""

from __future__ import annotations

from autopilot.api import API_VERSION, CommandSpec, FrameSourceSpec, hookimpl

AUTOPILOT_API = API_VERSION


@hookimpl
def autopilot_frame_sources() -> list[FrameSourceSpec]:
    """A region of the screen; a video file, stream or camera."""
    return [
        FrameSourceSpec(
            "screen",
            "a window, a monitor or a region of the screen (mss)",
            open="autopilot_screen.screen:open_screen",
            probe="autopilot_screen.probe:probe",
            windows="autopilot_screen.windows:windows",
        ),
        FrameSourceSpec(
            "video",
            "a video file, a stream, or a camera such as OBS's virtual one",
            open="autopilot_screen.video:open_video",
            films=True,
        ),
        FrameSourceSpec(
            "portal",
            "a window that the desktop shares: of Wayland's own programs, too",
            open="autopilot_screen.portal:open_portal",
        ),
    ]


@hookimpl
def autopilot_commands() -> list[CommandSpec]:
    """Windows and monitors, to name one of them."""
    return [CommandSpec("windows", "List windows and monitors.", "autopilot_screen.commands:windows")]
