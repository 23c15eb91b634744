"""Sets a game on the screen up, and tries what works on this machine."""
