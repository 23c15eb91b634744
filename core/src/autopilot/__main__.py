"""`python -m autopilot` is the same as `autopilot`."""

from __future__ import annotations

from autopilot.cli import main

if __name__ == "__main__":
    main()
