"""Driving and recording: a game's world, a driver, the run that joins them, and who observes it."""
