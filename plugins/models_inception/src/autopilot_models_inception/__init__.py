"""GoogLeNet as a plugin of autopilot."""
