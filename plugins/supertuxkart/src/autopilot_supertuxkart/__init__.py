"""A bundled plugin of autopilot."""
