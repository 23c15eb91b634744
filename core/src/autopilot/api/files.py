"""Files that another program may have open at this moment, which on Windows cannot be replaced or removed."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable

PATIENCE_S = 2.0
"""So long Windows may go on refusing; readers of ours, an indexer and a virus scanner have a file for a moment."""


def patiently[T](do: Callable[[], T]) -> T:
    """Do something to a file, a folder among them, again and again while Windows refuses; raises what that raises."""
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            return do()
        except PermissionError:
            if os.name != "nt" or time.monotonic() > until:
                raise
        time.sleep(random.uniform(0.001, 0.02))  # by chance, so that two do not keep meeting
