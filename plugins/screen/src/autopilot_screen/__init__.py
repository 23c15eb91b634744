"""The screen, video files and cameras as frame sources of autopilot."""
