"""Gymnasium CarRacing as a game of autopilot: simulator, label map, referee and demonstrator."""

import os

# pygame greets on import, into whatever a command prints.
os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
