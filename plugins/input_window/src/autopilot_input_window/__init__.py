"""A window that shows a game and reads the keys held in it."""

import os

# pygame greets on import, into whatever a command prints.
os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
