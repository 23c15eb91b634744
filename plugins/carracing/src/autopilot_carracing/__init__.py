"""Gymnasium CarRacing as a game of autopilot: simulator, label map, referee and demonstrator."""
