"""NVIDIA PilotNet as a plugin of autopilot."""
